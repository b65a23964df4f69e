#include "study/cluster_block.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

// A profile that does not exist is the fault of the key that names it.
std::string profile_named(const ConfigNode& node, const fs::path& profiles, const char* kind) {
    try {
        profile_file(node.as_string(), profiles, kind);
    } catch (const InputError&) {
        const auto known = profile_names(profiles, kind);
        node.refuse(known.empty() ? fmt::format("is not a profile: {} has none", profiles.string())
                                  : fmt::format("is not a profile, must be one of: {}",
                                                fmt::join(known, ", ")));
    }
    return node.as_string();
}

}  // namespace

ClusterProfile read_cluster_profile(const ConfigNode& block, const fs::path& profiles) {
    std::vector<ProfileChange> changes;
    const auto change = [&](const char* key, const char* member) {
        const auto node = block.find(key);
        if (!node) return;
        changes.push_back(
            {member, node->is_string() ? node->as_string() : node->dump(-1), node->place()});
        node->accept_all();
    };
    for (const char* key :
         {"nodes", "gpus_per_node", "nic_bandwidth", "nvlink_bandwidth", "price_per_gpu_hour"}) {
        change(key, key);
    }
    change("fail", "fabric.fail");
    return load_cluster(profile_named(block.at("profile"), profiles, "clusters"), profiles,
                        changes);
}

AcceleratorProfile read_accelerator(const ConfigNode& block, const ClusterProfile& cluster,
                                    const fs::path& profiles) {
    const auto named = block.find("accelerator");
    AcceleratorProfile profile = load_accelerator(
        named ? profile_named(*named, profiles, "accelerators") : cluster.accelerator, profiles);
    if (const auto kernels = block.find("kernels")) {
        prefer(profile, kernels->as_choice({"own", "published"}) == 0 ? KernelChoice::own
                                                                      : KernelChoice::published);
    }
    return profile;
}

}  // namespace orrery
