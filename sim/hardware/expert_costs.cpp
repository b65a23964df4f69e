#include "hardware/expert_costs.hpp"

#include <algorithm>

namespace orrery {

namespace {

template <class Q>
Sourced<Q> positive(const ConfigNode& block, const char* key) {
    const ConfigNode node = block.at(key);
    const Sourced<Q> number = node.as_sourced<Q>();
    if (!(number.value.value() > 0)) node.at("value").fail("must be greater than 0");
    return number;
}

Sourced<Ratio> share(const ConfigNode& block, const char* key) {
    const Sourced<Ratio> number = positive<Ratio>(block, key);
    if (number.value > Ratio(1)) block.at(key).at("value").fail("must be in (0, 1]");
    return number;
}

}  // namespace

Origin ExpertCosts::origin() const {
    return std::max({nic_efficiency.from.origin, nvlink_efficiency.from.origin,
                     overlap_loss.from.origin, message_time.from.origin, barrier.from.origin,
                     sm_dispatch.from.origin, sm_combine.from.origin, staging_2025_02.from.origin});
}

ExpertCosts read_expert_costs(const ConfigNode& node) {
    ExpertCosts costs;
    costs.nic_efficiency = share(node, "nic_efficiency");
    costs.nvlink_efficiency = share(node, "nvlink_efficiency");
    costs.overlap_loss = share(node, "overlap_loss");
    costs.message_time = positive<Seconds>(node, "message_time");
    costs.barrier = positive<Seconds>(node, "barrier");
    costs.sm_dispatch = positive<BytesPerSecond>(node, "sm_dispatch");
    costs.sm_combine = positive<BytesPerSecond>(node, "sm_combine");
    costs.staging_2025_02 = positive<BytesPerSecond>(node, "staging_2025_02");
    node.reject_unknown_keys();
    return costs;
}

}  // namespace orrery
