#include "hardware/cluster_profile.hpp"

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace fs = std::filesystem;

const DataTable* ClusterProfile::find_table(std::string_view table_name) const {
    return find_in(tables, table_name);
}

namespace {

template <class Q>
Sourced<Q> positive(const ConfigNode& root, const char* key) {
    const ConfigNode node = root.at(key);
    const Sourced<Q> value = node.as_sourced<Q>();
    if (!(value.value.value() > 0)) node.at("value").refuse("must be greater than 0");
    if (value.value.value() > 1e15) node.at("value").refuse("must be at most 1e15");
    return value;
}

// Beyond these a unit has slipped.
Sourced<BytesPerSecond> link_rate(const ConfigNode& root, const char* key) {
    const ConfigNode node = root.at(key);
    const auto rate = node.as_sourced<BytesPerSecond>();
    if (!(rate.value.value() >= 1e6 && rate.value.value() <= 1e15)) {
        node.at("value").refuse("must be from 1 MB/s to 1 PB/s");
    }
    return rate;
}

Sourced<Ratio> count(const ConfigNode& root, const char* key) {
    const ConfigNode node = root.at(key);
    node.at("value").as_integer(1, 1'000'000);
    return node.as_sourced<Ratio>();
}

// A number with an origin keeps that form; a change that states its own origin replaces it.
void apply(ConfigNode& root, const ProfileChange& change) {
    const std::string& key = change.key;
    const auto node = key.find('.') == std::string::npos ? root.find(key) : std::nullopt;
    const bool sourced = node && node->is_object() && node->has("value");
    if (!sourced || change.value.starts_with('{')) {
        root.set(key, change.value, change.place);
        return;
    }
    root.set(key + ".value", change.value, change.place);
    root.set(key + ".origin", "given");
    root.set_text(key + ".source", change.place);
}

}  // namespace

std::vector<ProfileChange> profile_changes(const std::vector<std::string>& sets) {
    std::vector<ProfileChange> changes;
    for (const std::string& set : sets) {
        const std::size_t equals = set.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw InputError(fmt::format("--set cluster.{}: must be cluster.key=value", set));
        }
        const std::string key = set.substr(0, equals);
        changes.push_back({key, set.substr(equals + 1), "--set cluster." + key});
    }
    return changes;
}

ClusterProfile load_cluster(const std::string& name_or_path, const fs::path& directory,
                            const std::vector<ProfileChange>& changes) {
    const fs::path file = profile_file(name_or_path, directory, "clusters");
    ConfigNode root = ConfigNode::load(file);
    for (const ProfileChange& change : changes) apply(root, change);
    ClusterProfile profile;
    profile.name = file.stem().string();
    profile.title = root.at("title").as_string();
    if (root.has("about")) root.at("about").as_string();
    profile.accelerator = root.at("accelerator").as_string();
    profile.nodes = count(root, "nodes");
    profile.gpus_per_node = count(root, "gpus_per_node");
    if (root.has("nvlink_nominal")) {
        profile.nvlink_nominal = positive<BytesPerSecond>(root, "nvlink_nominal");
    }
    profile.nvlink_bandwidth = link_rate(root, "nvlink_bandwidth");
    profile.nvlink_latency = positive<Seconds>(root, "nvlink_latency");
    profile.nic_bandwidth = link_rate(root, "nic_bandwidth");
    profile.nic_latency = positive<Seconds>(root, "nic_latency");
    profile.nic_efficiency = positive<Ratio>(root, "nic_efficiency");
    if (profile.nic_efficiency.value > Ratio(1)) {
        root.at("nic_efficiency").at("value").fail("must be in (0, 1]");
    }
    profile.price_per_gpu_hour = positive<DollarsPerHour>(root, "price_per_gpu_hour");
    if (const auto node = root.find("fabric")) {
        profile.fabric = read_fabric(*node, file.parent_path());
    }
    if (const auto node = root.find("expert_all_to_all")) {
        profile.expert_costs = read_expert_costs(*node);
    }
    if (const auto node = root.find("tables")) {
        profile.tables = read_tables(*node, file.parent_path());
    }
    root.reject_unknown_keys();
    return profile;
}

}  // namespace orrery
