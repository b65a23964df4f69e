#pragma once
// How long one iteration of an engine takes.
//
//   t = embedding + sum over layers + head + MTP + messages between stages
//
// T = tokens of the slowest attention group, c = its core attention of one layer (its prompts' and
// its decoding's, each in the cheaper form), M and F = tokens of the mean and of the fullest group
// (iteration.hpp).
//   one batch          layer = in(T) + c + out(T) + shared(T) + experts(M), all-to-alls exposed,
//                      dispatch and combine (M, F) (overlap.hpp)
//   two micro-batches  MoE layers with an all-to-all: replayed with halves of the batch; others run
//                      with the whole batch; a prompt is cut where that evens the halves, as
//                      SGLang's two_batch_overlap.py does (two-chunk split)
//   draft_tokens       an MTP module runs behind the layers: first over all tokens of the
//   iteration,
//                      then once more a further draft over the sequences that decode
//   launched kernels   an iteration with prompts takes at least its launches on the CPU
// With pp > 1 an iteration's time is the way of its batch through all stages; pp batches are under
// way at once, so a full pipeline ends one every time() / pp.
//
// Where experts are inside a group (ep <= tp) groups do not meet: its experts have its own tokens.
//
// time() reads lazily filled tables: kernels that depend on T or M between the steps of tiles, core
// attention over (sequences, query length, context) as a ratio to its roofline; two micro-batches
// are run from these (quick_moe_layers_time). direct() works everything out for the iteration
// itself, two micro-batches as events; a test holds the two together.
//
// Groups of unequal load, assumed: all cut their batch in two where the slowest does, the smallest
// into empty halves if need be; a compute kernel beside an all-to-all is slowed as if all groups
// had the tokens it runs on; where an engine has several expert-parallel groups, each has the
// engine's mean. Routing's own imbalance comes on top (expert_pace.hpp).
//
// Left out: the CPU between iterations, KV transfers, and paging in of weights.

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

    SimDuration time(const EngineIteration& iteration);
    SimDuration direct(const EngineIteration& iteration);
    IterationParts parts(const EngineIteration& iteration);  // as direct()
    // Layers and output head on the group's own tokens, as one batch with nothing beside.
    SimDuration own_time(const Iteration& group, bool prompts);
    // One MoE layer (kind with experts) of a batch, or of half of it.
    MoeLayerTimes moe_layer(const EngineIteration& iteration, bool half);
    // Seconds of a group's core attention kernels, without what goes with their form, in
    // environment e of KernelPrices; and of a micro-batch in a MoE layer with the other one beside
    // it: the mean distance of attention kernels.
    double core_kernel(const Iteration& iteration, bool half, std::size_t e);
    double half_layer(const EngineIteration& iteration);

    const EngineSpec& spec() const { return *spec_; }
    LayerCosts& costs() { return costs_; }
    Origin weakest_origin() { return costs_.prices().weakest_origin(); }
    std::vector<SourceUsed> sources() { return costs_.prices().sources(); }

  private:
    using Cores = std::array<std::int64_t, 4>;
    // The slowest group's batch beside the mean's and the fullest's tokens.
    struct Load {
        InferenceBatch batch;
        double tokens = 0, mean = 0, fullest = 0;
        Load with(const InferenceBatch& part) const;  // mean and fullest in proportion
        Load half() const;
    };
    Load load_of(const EngineIteration& it) const;
    Regime regime_of(const Iteration& slowest, bool prompts) const;
    bool may_overlap(const InferenceBatch& batch) const;
    bool low_latency(std::size_t kind, Regime regime) const;
    double layers_single(const Load& load, Regime regime, bool exact);
    double layers_two(const Load& load, Regime regime, bool exact);
    double outside(const Load& load, Regime regime, IterationParts& parts, bool exact);
    double head(Regime regime, double rows, bool exact);
    double launches(double tokens, Regime regime, bool two, bool exact);
    template <class Cost>
    double outside_table(int what, Regime regime, double x, bool exact, const Cost& cost);
    LinearTimes own(std::size_t kind, Regime regime, double tokens, bool overlapped, bool exact);
    LinearTimes linear(std::size_t kind, Regime regime, const Load& load, bool overlapped,
                       bool exact);
    PhaseTime core(std::size_t kind, const InferenceBatch& batch, Regime regime, bool overlapped,
                   bool exact);
    double core_ratio(std::size_t kind, Regime regime, bool decode, const Cores& at);
    double core_roofline(std::size_t kind, const InferenceBatch& batch, bool decode) const;
    PhaseTime environments_of_core(std::size_t kind, Regime regime);
    IterationParts work_out(const EngineIteration& iteration, bool exact);

    std::unique_ptr<const EngineSpec> spec_;
    std::shared_ptr<const OperatorTimeModel> compute_;
    LayerCosts costs_;
    std::map<std::tuple<std::size_t, Regime, bool, Cores>, double> core_ratios_;
    std::map<std::pair<std::size_t, Regime>, PhaseTime> core_environments_;
    std::map<std::tuple<int, Regime, std::int64_t>, double> outside_;
};

}  // namespace orrery
