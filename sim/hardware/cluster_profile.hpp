#pragma once
// What the simulator knows of a cluster: nodes, links between GPUs, NICs, communication costs,
// price. Read from hw_profiles/clusters/<name>.json (format: hw_profiles/README.md).

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/quantity.hpp"
#include "core/sourced.hpp"
#include "hardware/accelerator_profile.hpp"
#include "hardware/expert_costs.hpp"
#include "hardware/fabric_spec.hpp"

namespace orrery {

struct ClusterProfile {
    std::string name;
    std::string title;
    std::string accelerator;  // profile name
    Sourced<Ratio> nodes;
    Sourced<Ratio> gpus_per_node;
    std::optional<Sourced<BytesPerSecond>> nvlink_nominal;  // one way, per GPU, data sheet
    Sourced<BytesPerSecond> nvlink_bandwidth;               // one way, per GPU, achievable
    Sourced<Seconds> nvlink_latency;
    Sourced<BytesPerSecond> nic_bandwidth;  // one way, per GPU, nominal
    Sourced<Seconds> nic_latency;           // end to end across the fabric
    Sourced<Ratio> nic_efficiency;          // achieved over nominal for large messages
    Sourced<DollarsPerHour> price_per_gpu_hour;
    std::optional<FabricSpec> fabric;         // network between nodes; none: one node alone
    std::optional<ExpertCosts> expert_costs;  // for ExpertAllToAll
    std::vector<DataTable> tables;  // e.g. "expert_all_to_all": published dispatch/combine rates
    const DataTable* find_table(std::string_view table_name) const;
};

// A member of a profile that a scenario or a command changes.
struct ProfileChange {
    std::string key;    // "nodes", "fabric.planes"
    std::string value;  // JSON or text; for a number plain, or an object with origin and source
    std::string place;  // where it was given, for messages and as source: "--set cluster.nodes"
};
// "nodes=16" of a command's --set cluster.nodes=16. Throws InputError where "=" is missing.
std::vector<ProfileChange> profile_changes(const std::vector<std::string>& sets);

// Loads a profile by name (looked up in `directory`/clusters) or by path, with `changes`; plain
// numbers become `given`. Throws InputError, naming the change's place where one is wrong.
ClusterProfile load_cluster(const std::string& name_or_path, const std::filesystem::path& directory,
                            const std::vector<ProfileChange>& changes = {});

}  // namespace orrery
