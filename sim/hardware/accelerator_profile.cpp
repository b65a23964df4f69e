#include "hardware/accelerator_profile.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "core/error.hpp"

// "inherits": {"profile", "origin", "source"} takes everything the file does not state itself from
// another accelerator, under the stated origin and reason: a table measured on one device is not
// called measured on another.

namespace orrery {

namespace fs = std::filesystem;

const DataTable* AcceleratorProfile::find_table(std::string_view table_name) const {
    return find_in(tables, table_name);
}

std::vector<const DataTable*> AcceleratorProfile::find_tables(std::string_view table_name) const {
    std::vector<const DataTable*> found;
    for (const DataTable& table : tables) {
        if (table.name == table_name) found.push_back(&table);
    }
    return found;
}

namespace {

AcceleratorProfile load_file(const fs::path& file, int depth);

template <class Q>
void read_quantity(const ConfigNode& root, const char* key, bool inherited, Sourced<Q>& value) {
    if (inherited && !root.has(key)) return;
    const ConfigNode node = root.at(key);
    value = node.as_sourced<Q>();
    if (!(value.value.value() > 0)) node.at("value").fail("must be greater than 0");
}

template <class Visit>
void for_each_quantity(AcceleratorProfile& p, Visit visit) {
    visit("sms", p.sms);
    visit("memory", p.memory);
    visit("memory_bandwidth", p.memory_bandwidth);
    visit("copy_bandwidth", p.copy_bandwidth);
    visit("peak_bf16", p.peak_bf16);
    visit("peak_fp8", p.peak_fp8);
    visit("launch_gap", p.launch_gap);
    visit("kernel_floor", p.kernel_floor);
    visit("saturating_sms", p.saturating_sms);
}

AcceleratorProfile inherit(const ConfigNode& node, const fs::path& base, int depth) {
    if (depth > 4) node.fail("must not inherit more than four levels deep");
    const fs::path file = base / (node.at("profile").as_string() + ".json");
    std::error_code ec;
    if (!fs::exists(file, ec)) node.at("profile").fail("must name a profile in the same directory");
    AcceleratorProfile profile = load_file(file, depth + 1);
    const Provenance rule = node.provenance();
    const auto weaken = [&](const char*, auto& value) {
        value.from = under_rule(value.from, rule);
    };
    for_each_quantity(profile, weaken);
    if (profile.compute_efficiency) weaken("", *profile.compute_efficiency);
    for (DataTable& table : profile.tables) table.from = under_rule(table.from, rule);
    return profile;
}

// Own tables join the inherited ones; the strongest origin first.
void merge_tables(std::vector<DataTable>& tables, std::vector<DataTable> own) {
    tables.insert(tables.begin(), std::make_move_iterator(own.begin()),
                  std::make_move_iterator(own.end()));
    std::stable_sort(tables.begin(), tables.end(), [](const DataTable& a, const DataTable& b) {
        return a.from.origin < b.from.origin;
    });
}

AcceleratorProfile load_file(const fs::path& file, int depth) {
    const ConfigNode root = ConfigNode::load(file);
    AcceleratorProfile profile;
    const auto parent = root.find("inherits");
    if (parent) profile = inherit(*parent, file.parent_path(), depth);
    profile.name = file.stem().string();
    profile.title = root.at("title").as_string();
    if (root.has("about")) root.at("about").as_string();
    for_each_quantity(profile, [&](const char* key, auto& value) {
        read_quantity(root, key, parent.has_value(), value);
    });
    if (const auto node = root.find("graph_gap")) {
        profile.graph_gap = node->as_sourced<Seconds>();
        if (!(profile.graph_gap->value.value() >= 0))
            node->at("value").fail("must not be negative");
    }
    if (const auto node = root.find("compute_efficiency")) {
        profile.compute_efficiency = node->as_sourced<Ratio>();
        const double value = profile.compute_efficiency->value.value();
        if (!(value > 0 && value <= 1)) node->at("value").fail("must be in (0, 1]");
    }
    if (const auto node = root.find("tables")) {
        merge_tables(profile.tables, read_tables(*node, file.parent_path()));
    }
    root.reject_unknown_keys();
    return profile;
}

}  // namespace

void prefer(AcceleratorProfile& profile, KernelChoice choice) {
    const Origin wanted = choice == KernelChoice::own ? Origin::measured : Origin::published;
    std::stable_partition(profile.tables.begin(), profile.tables.end(),
                          [&](const DataTable& t) { return t.first_origin == wanted; });
}

AcceleratorProfile load_accelerator(const std::string& name_or_path, const fs::path& directory) {
    return load_file(profile_file(name_or_path, directory, "accelerators"), 0);
}

}  // namespace orrery
