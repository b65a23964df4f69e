#pragma once
// One DeepSeek-V3 MoE layer as the stream programs that the simulator replays and that
// orrery-closed-loop runs on a GPU: the same operators from the same lowering, woven by the same
// writer. 4,096 tokens go into attention; 4 of 256 experts are local (expert parallelism 64), so
// balanced routing brings 32,768 rows to them; the shared expert is whole. FP8, recomputing norms,
// MLA up-projections and SwiGLU, as DeepSeek-V3 was trained.

#include <filesystem>
#include <string>
#include <vector>

#include "collective/communication_cost.hpp"
#include "hardware/operator_time.hpp"
#include "model/model_spec.hpp"
#include "replay/program.hpp"
#include "training/placement.hpp"
#include "training/pricing.hpp"

namespace orrery::closed_loop {

enum class LoopRun {
    forward,          // compute of a pass alone, nothing beside it, one stream
    backward_input,   //
    backward_weight,  //
    pair,             // F & B of one layer, woven as DualPipe does, with communication beside it
};
inline constexpr LoopRun kLoopRuns[] = {LoopRun::forward, LoopRun::backward_input,
                                        LoopRun::backward_weight, LoopRun::pair};
const char* to_string(LoopRun run);  // "F", "B", "W", "F&B"

inline constexpr std::int64_t kCommunicationSms = 20;  // arXiv:2412.19437 3.2.2

// A program without prices: segment i of `program` is segments[i], collective i is collectives[i].
struct LayerProgram {
    LoopRun run = LoopRun::forward;
    RankProgram program;
    std::vector<std::vector<Operator>> segments;  // compute operators, in order
    std::vector<Operator> collectives;
    std::vector<std::string> labels;  // of instructions

    ChunkKind chunk() const {
        return run == LoopRun::pair ? ChunkKind::overlapped : ChunkKind::alone;
    }
};

// `model` is DeepSeek-V3 (its first MoE layer is taken).
LayerProgram layer_program(const ModelSpec& model, LoopRun run);
// Where the layer's ranks stand in the job: 64 expert ranks on 8 nodes.
PlacementShape layer_placement();

// The program with prices, one rank, ready to replay.
ReplayInput priced(const LayerProgram& program, const OperatorTimeModel& compute,
                   const CommunicationCost& communication, Clock clock);

// What the communication stand-in of collective i does: how long, and the traffic it causes on the
// device's memory meanwhile.
struct CommunicationTask {
    Seconds time;
    BytesPerSecond traffic;
};
CommunicationTask communication_task(const Operator& op, const CommunicationCost& communication);

}  // namespace orrery::closed_loop
