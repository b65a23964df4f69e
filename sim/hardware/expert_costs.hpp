#pragma once
// What a cluster's expert all-to-all costs beyond its links' rates: block "expert_all_to_all" of a
// cluster profile (format: hw_profiles/README.md; what each means:
// collective/expert_all_to_all.hpp).

#include "core/config.hpp"
#include "core/quantity.hpp"
#include "core/sourced.hpp"

namespace orrery {

struct ExpertCosts {
    Sourced<Ratio> nic_efficiency;     // achieved over nic_bandwidth, RDMA writes of tokens
    Sourced<Ratio> nvlink_efficiency;  // achieved over nvlink_bandwidth, stores by SMs
    Sourced<Ratio> overlap_loss;       // share of the shorter pipeline stage that is not hidden
    Sourced<Seconds> message_time;     // of each low-latency message on its NIC, beside its bytes
    Sourced<Seconds> barrier;          // low latency: launch, casts, flags, waiting for counts
    Sourced<BytesPerSecond> sm_dispatch;      // bytes read + written by one SM that hands tokens on
    Sourced<BytesPerSecond> sm_combine;       // the same where it adds them up
    Sourced<BytesPerSecond> staging_2025_02;  // (token, node) bytes a GPU stages, first version

    // Weakest origin of them all.
    Origin origin() const;
};

// Throws InputError: a missing or unknown key, a ratio outside (0, 1], a time or rate not positive.
ExpertCosts read_expert_costs(const ConfigNode& node);

}  // namespace orrery
