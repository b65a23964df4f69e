#pragma once
// How long one iteration of an engine takes.
//
//   t = embedding + sum over layers + head + MTP + messages between stages
//
// T = tokens of the iteration in an attention group, c = core attention of one layer (its prompts'
// and its decoding's, each in the cheaper form).
//   one batch          layer = in(T) + c + out(T) + MoE(T), all-to-alls exposed (overlap.hpp)
//   two micro-batches  MoE layers with an all-to-all: replayed with halves of the batch; others run
//                      with the whole batch
//   draft_tokens       an MTP module runs behind the layers: first over all tokens of the
//   iteration,
//                      then once more a further draft over the sequences that decode
//   launched kernels   an iteration with prompts takes at least its launches on the CPU
// With pp > 1 an iteration's time is the way of its batch through all stages; pp batches are under
// way at once, so a full pipeline ends one every time() / pp.
//
// time() reads lazily filled tables: kernels that depend on T between the steps of tiles, core
// attention over (sequences, query length, context) as a ratio to its roofline, two micro-batches
// over (T, c). direct() works everything out for the iteration itself; a test holds the two
// together.
//
// Left out: groups of unequal load (the caller takes the longest), the CPU between iterations, KV
// transfers, and paging in of weights.

#include <array>
#include <map>
#include <memory>
#include <vector>

#include "core/run_result.hpp"
#include "core/time.hpp"
#include "serving/iteration.hpp"
#include "serving/layer_costs.hpp"
#include "serving/overlap.hpp"

namespace orrery {

struct IterationParts {
    double layers = 0, head = 0, mtp = 0, other = 0;  // s
    double single = 0, two_batch = 0;                 // s, whole iterations; 0: not possible
    bool overlapped = false;                          // two micro-batches were taken
    bool launch_bound = false;
    double total = 0;
};

class IterationTime {
  public:
    // `compute` may be shared by engines on one accelerator; null: made from the spec's profile.
    explicit IterationTime(EngineSpec spec,
                           std::shared_ptr<const OperatorTimeModel> compute = nullptr);

    SimDuration time(const Iteration& iteration);
    SimDuration direct(const Iteration& iteration);
    IterationParts parts(const Iteration& iteration);  // as direct()
    // One MoE layer (kind with experts) of a batch, or of half of it.
    MoeLayerTimes moe_layer(const Iteration& iteration, bool half);
    // Seconds of its core attention kernels, without what goes with their form, in environment e of
    // KernelPrices; and of a micro-batch in a MoE layer with the other one beside it: the mean
    // distance of attention kernels.
    double core_kernel(const Iteration& iteration, bool half, std::size_t e);
    double half_layer(const Iteration& iteration);

    const EngineSpec& spec() const { return *spec_; }
    LayerCosts& costs() { return costs_; }
    Origin weakest_origin() { return costs_.prices().weakest_origin(); }
    std::vector<SourceUsed> sources() { return costs_.prices().sources(); }

  private:
    using Cores = std::array<std::int64_t, 4>;
    Regime regime_of(const Iteration& it) const;
    bool may_overlap(const InferenceBatch& batch) const;
    double layers_single(const InferenceBatch& batch, Regime regime, bool exact);
    double layers_two(const InferenceBatch& batch, Regime regime, bool exact);
    double outside(const InferenceBatch& batch, Regime regime, IterationParts& parts, bool exact);
    double launches(std::int64_t tokens, Regime regime, bool two, bool exact);
    LinearTimes linear(std::size_t kind, Regime regime, double tokens, bool overlapped, bool exact);
    PhaseTime core(std::size_t kind, const InferenceBatch& batch, Regime regime, bool overlapped,
                   bool exact);
    double core_ratio(std::size_t kind, Regime regime, bool decode, const Cores& at);
    double core_roofline(std::size_t kind, const InferenceBatch& batch, bool decode) const;
    double two_batch_table(std::size_t kind, Regime regime, double tokens, double core);
    PhaseTime environments_of_core(std::size_t kind, Regime regime);
    IterationParts work_out(const Iteration& iteration, bool exact);

    std::unique_ptr<const EngineSpec> spec_;
    std::shared_ptr<const OperatorTimeModel> compute_;
    LayerCosts costs_;
    std::map<std::tuple<std::size_t, Regime, bool, Cores>, double> core_ratios_;
    std::map<std::tuple<std::size_t, Regime, std::int64_t, std::int64_t>, double> two_batch_;
    std::map<std::pair<std::size_t, Regime>, PhaseTime> core_environments_;
    std::map<std::tuple<int, Regime, std::int64_t>, double> outside_;
};

}  // namespace orrery
