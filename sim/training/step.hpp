#pragma once
// One training step, replayed operator by operator, and what follows from it: times of its parts,
// throughput, utilisation, money, memory.
//
//   step time = 1F + 1B + 1W + 1F&1B + bubble + optimizer           (on pipeline rank 0, exactly)
//   tokens per day = sequences x sequence length x 86,400 s / step time
//   MFU = model FLOPs of the step without recompute / (ranks x BF16 peak x step time)
//   GPU hours = tokens / tokens per hour x ranks;  cost = GPU hours x price

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/run_result.hpp"
#include "replay/replay.hpp"
#include "training/chunk_pair.hpp"
#include "training/memory_peak.hpp"
#include "training/training_spec.hpp"

namespace orrery {

// Sums over one rank's passes.
struct StepParts {
    Seconds forward, backward, backward_weight, forward_backward, optimizer, bubble;
    Seconds barrier;  // inside the passes: waiting for peers of a collective
    std::int64_t forwards = 0, backwards = 0, backward_weights = 0, forward_backwards = 0;
};

struct TrainingResult {
    Seconds step_time;
    StepParts parts;                          // of pipeline rank 0
    std::vector<StepParts> by_pipeline_rank;  // lane 0 of each
    ChunkPair chunk_pair;                     // priced apart: its sources are not among `sources`
    double tokens_per_step = 0;
    double tokens_per_day = 0;
    double mfu_causal = 0, mfu_non_causal = 0;
    double gpu_hours = 0;  // of the whole run; 0 where its tokens are unknown
    Dollars cost;
    MemoryPeak memory;  // of the fullest rank
    Origin weakest = Origin::measured;
    std::vector<SourceUsed> sources;
    std::vector<std::string> missing_shapes;  // Pricing::missing_shapes()
    std::int64_t events = 0, segments = 0, operators = 0, ranks = 0, ranks_simulated = 0;
    std::string fingerprint;
    double row_spread = 0;  // RoutedExperts'
    double mean_nodes = 0;
    Timeline timeline;  // of the traced ranks; empty without a request
};

struct TrainingOptions {
    bool reverse_ties = false;
    std::function<bool(SimTime)> poll;  // see ReplayOptions
    std::vector<std::uint32_t> trace_ranks;
    bool trace_all_micro_batches = false;  // otherwise each traced rank's first and last
};

// The plan's schedule. Throws InputError where it does not fit the plan's ranks, stages and
// micro-batches.
PipelineSchedule training_schedule(const TrainingSpec& spec);

// Throws InputError for a plan that cannot run, MissingShapesError for operators without a price,
// SimulationError where the replay cannot go on.
TrainingResult simulate_training(const TrainingSpec& spec, const TrainingOptions& options);

}  // namespace orrery
