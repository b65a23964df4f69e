#include "study/serving_claims.hpp"

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

const std::vector<ClaimKind>& claim_kinds() {
    static const std::vector<ClaimKind> kinds = {
        {"overlap", "when two micro-batches pay", claim_overlap},
        {"eplb", "what balancing experts gains, over their skew", claim_eplb},
        {"mtp", "what drafting a token gains", claim_mtp},
        {"tpot", "the network's bound on a step", claim_tpot_bound},
        {"latency", "time to the first token and per token", claim_latency},
        {"memory", "what 8 sequences of 64K take", claim_memory},
        {"nodes", "fewest nodes", claim_nodes},
        {"sparse", "what sparse attention saves", claim_sparse},
        {"day", "the published day, nodes and money", claim_day},
    };
    return kinds;
}

const ClaimKind& find_claim(const std::string& name) {
    std::string names;
    for (const ClaimKind& kind : claim_kinds()) {
        if (name == kind.name) return kind;
        names += fmt::format("{}{}", names.empty() ? "" : ", ", kind.name);
    }
    throw InputError(fmt::format("claims {}: must be one of: {}", name, names));
}

}  // namespace orrery
