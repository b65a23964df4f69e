#include "collective/expert_loads.hpp"

#include <algorithm>

namespace orrery {

namespace {

std::size_t index(std::int32_t i) { return static_cast<std::size_t>(i); }

}  // namespace

std::int64_t LinkLoad::of(std::size_t rank) const { return std::max(sent[rank], received[rank]); }

std::int64_t LinkLoad::most() const {
    return std::max(*std::max_element(sent.begin(), sent.end()),
                    *std::max_element(received.begin(), received.end()));
}

ForwardedLoads forwarded_loads(const ExpertTraffic& t) {
    ForwardedLoads loads{LinkLoad(t.ranks), LinkLoad(t.ranks),
                         std::vector<std::int64_t>(index(t.ranks), 0)};
    for (std::int32_t source = 0; source < t.ranks; ++source) {
        const std::int32_t own = t.node_of(source), place = source % t.ranks_per_node;
        for (std::int32_t node = 0; node < t.nodes(); ++node) {
            const std::int32_t forwarder = node * t.ranks_per_node + place;
            if (node != own) {
                loads.nic.sent[index(source)] += t.to_node(source, node);
                loads.nic.received[index(forwarder)] += t.to_node(source, node);
            }
            for (std::int32_t i = 0; i < t.ranks_per_node; ++i) {
                const std::int32_t destination = node * t.ranks_per_node + i;
                const std::int32_t tokens = t.to_rank(source, destination);
                loads.forwarded[index(forwarder)] += tokens;
                if (destination == forwarder) continue;
                loads.nvlink.sent[index(forwarder)] += tokens;
                loads.nvlink.received[index(destination)] += tokens;
            }
        }
    }
    return loads;
}

DirectLoads direct_loads(const ExpertTraffic& t, bool everywhere) {
    DirectLoads loads{LinkLoad(t.ranks), LinkLoad(t.ranks)};
    for (std::int32_t source = 0; source < t.ranks; ++source) {
        for (std::int32_t destination = 0; destination < t.ranks; ++destination) {
            if (destination == source) continue;
            const bool near = !everywhere && t.node_of(source) == t.node_of(destination);
            LinkLoad& link = near ? loads.nvlink : loads.nic;
            link.sent[index(source)] += t.selected(source, destination);
            link.received[index(destination)] += t.selected(source, destination);
        }
    }
    return loads;
}

}  // namespace orrery
