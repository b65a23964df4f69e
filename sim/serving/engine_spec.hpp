#pragma once
// Everything that decides how long an engine's iteration takes: what it runs, on which hardware,
// spread how. An engine is dp attention groups that step together; a deployment has pools of
// engines (deployment.hpp).

#include <algorithm>
#include <cstdint>
#include <string>

#include "collective/expert_all_to_all.hpp"
#include "core/sourced.hpp"
#include "hardware/accelerator_profile.hpp"
#include "hardware/cluster_profile.hpp"
#include "hardware/operator_time.hpp"
#include "model/affinity.hpp"
#include "model/inference_lowering.hpp"
#include "model/model_spec.hpp"
#include "model/routing.hpp"

namespace orrery {

// Whether an iteration is cut into two micro-batches, each hiding the other's all-to-alls.
enum class Overlap : std::uint8_t { none, two_batch, automatic };  // automatic: what is faster

// How tokens spread over the experts of an expert-parallel group.
struct ExpertRouting {
    RoutingKind kind = RoutingKind::drawn;
    AffinitySpec affinity;       // of drawn routing
    std::int64_t redundant = 0;  // expert slots beyond the experts
    // Slots placed by EPLB from loads drawn apart; else the experts in order, redundant slots
    // holding the first ones again.
    bool eplb = false;
    std::int64_t layers = 4;  // drawn; their mean stands for all
};

struct EngineSpec {
    ModelSpec model;
    InferencePlan plan;
    AcceleratorProfile accelerator;
    ClusterProfile cluster;
    Clock clock = Clock::sustained;
    // Under continuous load, every GPU at the pace of the slowest of those it meets in each layer
    // (hardware/gpu_pace.hpp); else at that of the GPU the tables were measured on.
    bool slowest_pace = true;
    Overlap overlap = Overlap::none;
    ExpertRouting routing;
    // SMs that the normal all-to-all holds (prefill); low latency holds none in flight.
    std::int32_t communication_sms = 24;
    // Low-latency all-to-all for iterations without prompts; else normal.
    bool low_latency_decode = true;
    std::int64_t draft_tokens = 0;  // an MTP module drafts after each step; 0: no module runs
    // Idle time between kernels launched together as a CUDA graph (decode), and CPU time of a
    // launch outside one (prefill), which shows where kernels are shorter.
    Sourced<Seconds> graph_gap;
    Sourced<Seconds> launch_time;

    // GPUs that wait for each other in each layer.
    std::int64_t gpus_that_meet() const {
        return plan.all_to_all() ? std::max(plan.ep, plan.tp) : plan.tp;
    }
    std::int64_t gpus_per_node() const {
        return static_cast<std::int64_t>(cluster.gpus_per_node.value.value());
    }
};

}  // namespace orrery
