#pragma once
// Ranks of an expert-parallel group, one a GPU, with the memory that dispatch and combine need.

#include <vector>

#include "calibrate/gpu/gpu_group.hpp"
#include "calibrate/routing_load.hpp"
#include "kernels/expert_all_to_all.hpp"

namespace orrery::calibrate {

constexpr std::int64_t kExpertHidden = 7168;
enum class ExpertStep { layout, dispatch_fp8, dispatch_bf16, combine };
std::string to_string(ExpertStep step);
// Bytes of a row, scales included, without the 64 B of experts and weights beside it.
double payload_bytes(ExpertStep step);

class ExpertNode {
  public:
    // The first `ranks` GPUs; at most `most_tokens` tokens a rank. Needs about
    // ranks * most_tokens * 36 kB on each.
    ExpertNode(const GpuGroup& gpus, int ranks, std::int64_t most_tokens);

    // Draws experts for `tokens` tokens a rank and runs the layout.
    void set_routing(Routing routing, std::int64_t tokens);
    const RowCounts& rows() const { return rows_; }
    // Queues one call on every rank.
    void launch(ExpertStep step, int ctas, int call);
    // Throws InputError where a barrier timed out.
    void check() const;
    std::vector<Lane> lanes() const { return gpus_.first(int(ranks_.size())); }
    int size() const { return int(ranks_.size()); }

  private:
    struct Rank {
        kernels::ExpertRank view;
        Buffer x, scales, experts, weights, slots, counts, flags, failed, y;
        Buffer rows, row_scales, row_experts, row_weights, out;
    };
    void allocate(Rank& rank, const Lane& lane) const;

    const GpuGroup& gpus_;
    std::int64_t most_tokens_;
    std::vector<Rank> ranks_;
    RowCounts rows_;
    int sets_ = 1;  // of tokens, so that they come from device memory
};

}  // namespace orrery::calibrate
