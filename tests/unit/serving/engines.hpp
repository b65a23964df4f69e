#pragma once
// Engines for tests: models and profiles as they are shipped.

#include "model/read_config.hpp"
#include "serving/iteration_time.hpp"

namespace orrery::test {

inline EngineSpec deepseek_engine(std::int64_t ep, std::int64_t tp = 1) {
    EngineSpec spec;
    spec.model = load_model("scenarios/models/deepseek_v3.json");
    spec.accelerator = load_accelerator("h800_sxm5", "hw_profiles");
    spec.cluster = load_cluster("h800_ib_2048", "hw_profiles");
    spec.plan.tp = tp;
    spec.plan.dp = ep / tp;
    spec.plan.ep = ep;
    spec.plan.precision = Precision::fp8_block;
    spec.routing.kind = RoutingKind::balanced;
    spec.graph_gap = {Seconds(1e-6), {Origin::given, "test"}};
    spec.launch_time = {Seconds(5e-6), {Origin::given, "test"}};
    return spec;
}

inline EngineSpec llama_engine(std::int64_t tp = 1) {
    EngineSpec spec = deepseek_engine(1);
    spec.model = load_model("scenarios/models/llama3_8b.json");
    spec.accelerator = load_accelerator("h100_sxm5", "hw_profiles");
    spec.cluster = load_cluster("h100_8", "hw_profiles");
    spec.plan = {};
    spec.plan.tp = tp;
    return spec;
}

inline Iteration decoding(std::int64_t sequences, std::int64_t context, std::int64_t verified = 1) {
    Iteration it;
    it.decode_sequences = sequences;
    it.decode_tokens = sequences * verified;
    it.decode_context = sequences * context;
    return it;
}

// `sequences` chunks of `length` new tokens behind `context` cached ones.
inline Iteration prefilling(std::int64_t sequences, std::int64_t length, std::int64_t context = 0) {
    Iteration it;
    it.prefill_sequences = sequences;
    it.prefill_tokens = sequences * length;
    it.prefill_context = sequences * context;
    it.prefill_pairs = sequences * (length * context + length * (length + 1) / 2);
    return it;
}

// An engine whose slowest group does this and is the fullest, too.
inline EngineIteration uneven(const Iteration& slowest, std::int64_t mean_tokens) {
    EngineIteration it(slowest);
    it.mean_tokens = mean_tokens;
    return it;
}

}  // namespace orrery::test
