#include "study/profile_answer.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/config.hpp"
#include "core/error.hpp"
#include "core/unit_text.hpp"
#include "hardware/cluster_profile.hpp"

namespace orrery {

namespace fs = std::filesystem;

namespace {

template <class Q>
void add(ProfileAnswer& answer, const char* name, const Sourced<Q>& quantity) {
    answer.entries.push_back({name, to_text(quantity.value), quantity.from});
}

void add_tables(ProfileAnswer& answer, const std::vector<DataTable>& tables) {
    for (const DataTable& table : tables) {
        answer.entries.push_back(
            {"table " + table.name, fmt::format("{} rows", table.rows()), table.from});
    }
}

ProfileAnswer accelerator_answer(const std::string& name, const fs::path& profiles) {
    const AcceleratorProfile p = load_accelerator(name, profiles);
    ProfileAnswer answer{p.name, "accelerator", p.title, "", {}};
    add(answer, "sms", p.sms);
    add(answer, "memory", p.memory);
    add(answer, "memory_bandwidth", p.memory_bandwidth);
    add(answer, "copy_bandwidth", p.copy_bandwidth);
    add(answer, "peak_bf16", p.peak_bf16);
    add(answer, "peak_fp8", p.peak_fp8);
    add(answer, "launch_gap", p.launch_gap);
    add(answer, "kernel_floor", p.kernel_floor);
    add(answer, "saturating_sms", p.saturating_sms);
    if (p.graph_gap) add(answer, "graph_gap", *p.graph_gap);
    if (p.compute_efficiency) add(answer, "compute_efficiency", *p.compute_efficiency);
    add_tables(answer, p.tables);
    for (const char* family : {"gemm", "grouped_gemm", "attention", "attention_sms",
                               "attention_decode", "memory", "sustained", "contention", "pace"}) {
        if (p.find_table(family) == nullptr) answer.missing.emplace_back(family);
    }
    return answer;
}

ProfileAnswer cluster_answer(const std::string& name, const fs::path& profiles) {
    const ClusterProfile c = load_cluster(name, profiles);
    ProfileAnswer answer{c.name, "cluster", c.title, c.accelerator, {}};
    add(answer, "nodes", c.nodes);
    add(answer, "gpus_per_node", c.gpus_per_node);
    if (c.nvlink_nominal) add(answer, "nvlink_nominal", *c.nvlink_nominal);
    add(answer, "nvlink_bandwidth", c.nvlink_bandwidth);
    add(answer, "nvlink_latency", c.nvlink_latency);
    add(answer, "nic_bandwidth", c.nic_bandwidth);
    add(answer, "nic_latency", c.nic_latency);
    add(answer, "nic_efficiency", c.nic_efficiency);
    add(answer, "price_per_gpu_hour", c.price_per_gpu_hour);
    if (c.fabric) {
        answer.entries.push_back({"fabric", c.fabric->kind, c.fabric->from});
        if (c.fabric->same_leaf_latency) {
            add(answer, "fabric.same_leaf_latency", *c.fabric->same_leaf_latency);
        }
    }
    add_tables(answer, c.tables);
    return answer;
}

}  // namespace

ProfileAnswer answer_profile(const std::string& name_or_path, const fs::path& profiles) {
    const fs::path given(name_or_path);
    if (given.extension() == ".json" || given.has_parent_path()) {
        return ConfigNode::load(given).has("accelerator")
                   ? cluster_answer(name_or_path, profiles)
                   : accelerator_answer(name_or_path, profiles);
    }
    const auto accelerators = profile_names(profiles, "accelerators");
    const auto clusters = profile_names(profiles, "clusters");
    const auto has = [&](const std::vector<std::string>& names) {
        return std::find(names.begin(), names.end(), name_or_path) != names.end();
    };
    if (has(accelerators)) return accelerator_answer(name_or_path, profiles);
    if (has(clusters)) return cluster_answer(name_or_path, profiles);
    throw InputError(fmt::format("profile {}: must be one of: {}, {}", name_or_path,
                                 fmt::join(accelerators, ", "), fmt::join(clusters, ", ")));
}

std::vector<ProfileName> list_profiles(const fs::path& profiles) {
    std::vector<ProfileName> result;
    for (const std::string& name : profile_names(profiles, "accelerators")) {
        result.push_back({"accelerator", name, load_accelerator(name, profiles).title});
    }
    for (const std::string& name : profile_names(profiles, "clusters")) {
        result.push_back({"cluster", name, load_cluster(name, profiles).title});
    }
    return result;
}

}  // namespace orrery
