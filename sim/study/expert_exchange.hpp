#pragma once
// An expert dispatch or combine on a cluster: what `orrery collective expert_*` and scenarios of
// kind "expert_all_to_all" ask and get.

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "collective/expert_all_to_all.hpp"
#include "core/config.hpp"
#include "hardware/cluster_profile.hpp"
#include "model/routing.hpp"

namespace orrery {

struct ExpertExchange {
    bool dispatch = true;
    ExpertMode mode = ExpertMode::normal;
    ExpertVersion version = ExpertVersion::v2025_06;
    std::int32_t ranks = 0, ranks_per_node = 0;  // 0 a node: as the cluster's nodes have
    std::int64_t tokens = 4096, hidden = 7168;
    std::int32_t top_k = 8, experts = 256;
    std::int32_t slots = 0;  // expert slots of all ranks; 0: one an expert
    // Nodes a token may reach, chosen by their best expert as DeepEP's own test does; 0: any.
    std::int32_t node_limit = 4;
    std::int32_t sms = 24;
    RoutingKind routing = RoutingKind::drawn;
    AffinitySpec affinity;
};

struct ExpertExchangeAnswer {
    ExpertTraffic traffic;
    Bytes payload;  // of a token
    ExpertTime time;
    Seconds notify;  // exchange of counts before a normal dispatch, everybody being there
};

// How messages name a key ("ranks", "ranks_per_node", "slots") and its value: "--ep 7".
using NameOfKey = std::function<std::string(std::string_view key, std::int64_t value)>;

// Throws InputError: more ranks than the cluster has, ranks that nodes do not divide, experts that
// do not go round, routing that cannot be.
ExpertExchangeAnswer answer_exchange(const ExpertExchange& exchange, const ClusterProfile& cluster,
                                     const NameOfKey& name = {});

// The "exchange" block of a scenario and `--set` of the command line: mode, version, ranks,
// ranks_per_node, tokens, hidden, top_k, experts, slots, node_limit, sms, skew, sequence_skew,
// seed, balanced. Keys that are absent stay as they are; rejects others.
void read_exchange(const ConfigNode& block, ExpertExchange& exchange);

}  // namespace orrery
