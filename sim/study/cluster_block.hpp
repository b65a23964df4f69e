#pragma once
// The "cluster" block of every kind of scenario: a cluster's profile, the accelerator in it, and
// what the scenario changes of both.

#include <filesystem>

#include "core/config.hpp"
#include "hardware/accelerator_profile.hpp"
#include "hardware/cluster_profile.hpp"

namespace orrery {

// The keys "profile", "nodes", "gpus_per_node", "nic_bandwidth", "nvlink_bandwidth",
// "price_per_gpu_hour" and "fail" (nodes and links of the fabric); numbers are plain (origin given)
// or state their origin. Throws InputError naming the key that is wrong, wherever it was given.
ClusterProfile read_cluster_profile(const ConfigNode& block, const std::filesystem::path& profiles);

// The keys "accelerator" (default: the cluster's) and "kernels" ("own" or "published": whose
// tables come first where both price an operator).
AcceleratorProfile read_accelerator(const ConfigNode& block, const ClusterProfile& cluster,
                                    const std::filesystem::path& profiles);

}  // namespace orrery
