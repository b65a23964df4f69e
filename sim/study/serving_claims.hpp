#pragma once
// What has been published or claimed about serving DeepSeek-V3, each beside this model's figure.
// The engines are those of scenarios/validation/serving; nothing here is fitted.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/run_result.hpp"

namespace orrery {

struct ClaimAnswer {
    std::string name;     // "eplb"
    std::string claim;    // as published, with its source
    ResultTable table;    // our figures
    std::string verdict;  // how the two compare
};

struct ClaimRequest {
    std::filesystem::path cases;     // scenarios/validation/serving
    std::filesystem::path profiles;  // with accelerators/ and clusters/
    // Where set, told what is being worked out.
    std::function<void(const std::string&)> progress = {};
};

struct ClaimKind {
    const char* name;
    const char* title;
    ClaimAnswer (*answer)(const ClaimRequest&);
};
// In print order.
const std::vector<ClaimKind>& claim_kinds();
// Throws InputError where no claim has this name.
const ClaimKind& find_claim(const std::string& name);

ClaimAnswer claim_overlap(const ClaimRequest&);     // two micro-batches lose at 32, win at 256
ClaimAnswer claim_eplb(const ClaimRequest&);        // 1.49x in prefill, 2.54x in decoding
ClaimAnswer claim_mtp(const ClaimRequest&);         // 1.8x tokens a second at 80 to 90 % acceptance
ClaimAnswer claim_tpot_bound(const ClaimRequest&);  // 14.76 ms from bytes over 50 GB/s
ClaimAnswer claim_latency(const ClaimRequest&);     // TTFT 100 to 200 ms, TPOT 40 to 50 ms
ClaimAnswer claim_memory(const ClaimRequest&);      // 735 GB at 64K, batch 8
ClaimAnswer claim_nodes(const ClaimRequest&);       // two nodes at least
ClaimAnswer claim_sparse(const ClaimRequest&);      // V3.2's price halved
ClaimAnswer claim_day(const ClaimRequest&);         // 226.75 nodes, $87,072

}  // namespace orrery
