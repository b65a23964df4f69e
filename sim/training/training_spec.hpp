#pragma once
// A training job to simulate, as plain values: model, plan, hardware, batch, and the stated inputs
// that make a run differ from the ideal (clock, jitter, routing imbalance, slow ranks).

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collective/expert_all_to_all.hpp"
#include "core/sourced.hpp"
#include "hardware/accelerator_profile.hpp"
#include "hardware/cluster_profile.hpp"
#include "hardware/operator_time.hpp"
#include "model/lowering.hpp"
#include "model/model_spec.hpp"
#include "model/parallel_plan.hpp"
#include "model/routing.hpp"
#include "training/schedule.hpp"

namespace orrery {

struct SlowRank {
    std::int64_t rank = 0;
    double factor = 1.0;  // multiplies the rank's compute durations
};

// Which experts tokens go to.
struct RoutingChoice {
    RoutingKind kind = RoutingKind::balanced;
    AffinitySpec affinity;
    // Relative loads of the experts, a row a layer: draw d takes row d modulo their number. Empty:
    // affinity.skew says how experts differ.
    std::vector<std::vector<double>> loads;
    std::string loads_file;
    // Distinct draws of an expert group's tokens; each layer, micro-batch and expert group takes
    // one of them.
    std::int32_t draws = 8;
};

// What a pass waits for beside its inputs.
enum class PipelineSends : std::uint8_t {
    overlapped,  // nothing: earlier outputs are sent beside it
    blocking,    // until the rank's earlier outputs have arrived, as in DualPipe's published code
    free,        // nothing, and sends take no time, to see what they cost
};

constexpr std::string_view to_string(PipelineSends sends) {
    return sends == PipelineSends::overlapped ? "overlapped"
           : sends == PipelineSends::blocking ? "blocking"
                                              : "free";
}

// How communication is timed.
struct NetworkChoice {
    // Expert all-to-all from counted tokens (ExpertAllToAll); else from DeepEP's published rates.
    bool counted_tokens = false;
    ExpertVersion expert_version = ExpertVersion::v2025_06;  // counted tokens: DeepEP's release
    bool notify = true;  // counted tokens: counts and a barrier are exchanged before each
    PipelineSends pipeline_sends = PipelineSends::overlapped;
    // Expert all-to-alls and pipeline sends share the links of the cluster's network; else each has
    // links of its own. Needs counted_tokens.
    bool shared_links = false;
};

// How GPUs differ in pace under continuous load (hardware/gpu_pace.hpp).
//   alike    every one as the GPU the tables were measured on
//   slowest  every one as the slowest of those it meets after each phase: its expert-parallel group
//            with their tensor-parallel ranks
//   drawn    a rank's pace is drawn anew for each pass, its peers wait
enum class GpuPaces : std::uint8_t { alike, slowest, drawn };

struct TrainingSpec {
    ModelSpec model;
    ParallelPlan plan;
    AcceleratorProfile accelerator;
    std::string kernels;  // "own" or "published": tables preferred; empty: the strongest origin
    ClusterProfile cluster;
    std::int64_t sequences = 1;        // per step, over all data-parallel ranks
    std::int64_t sequence_length = 1;  // tokens
    double tokens = 0;                 // of the whole run; 0: unknown
    Clock clock = Clock::burst;
    GpuPaces paces = GpuPaces::alike;
    double jitter = 0;  // relative standard deviation of a pass's compute time, per rank
    std::uint64_t seed = 1;
    double routed_rows_factor = 1.0;     // rows an expert rank receives over the balanced mean
    std::int64_t communication_sms = 0;  // held by expert all-to-all beside compute
    RoutingChoice routing;
    NetworkChoice network;
    std::vector<SlowRank> slow_ranks;
    bool fold = true;
    // Runs instead of what make_schedule would build from plan.schedule: a user's own.
    std::optional<PipelineSchedule> own_schedule;

    std::int64_t micro_batches() const { return sequences / (plan.dp * plan.micro_batch_size); }
    std::int64_t gpus_that_meet() const { return std::max(plan.ep, plan.cp) * plan.tp; }
    // Of compute that has every SM.
    Conditions conditions() const {
        const std::int64_t slowest = paces == GpuPaces::slowest ? gpus_that_meet() : 1;
        return {0, clock, paces == GpuPaces::alike ? 0 : slowest};
    }
    BatchShape batch() const {
        return {plan.micro_batch_size, sequence_length, routed_rows_factor, {}};
    }
};

}  // namespace orrery
