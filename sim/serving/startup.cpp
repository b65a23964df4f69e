#include "serving/startup.hpp"

namespace orrery {
namespace {

Bytes weights_of_gpu(const DeployedPool& pool) {
    for (const MemoryItem& item : pool.memory) {
        if (item.name == "weights") return item.bytes;
    }
    return Bytes(0);
}

SimDuration over(Bytes bytes, BytesPerSecond rate) {
    return rate.value() > 0 ? to_sim_duration(bytes / rate) : SimDuration{};
}

}  // namespace

Startup plan_startup(const DeployedPool& pool, const StartupInputs& inputs) {
    const EngineSpec& engine = pool.engine;
    const bool drafts = engine.draft_tokens > 0;
    const Bytes fp8 = inference_weights(engine.model, Precision::fp8_block, drafts);
    const Bytes bf16 = inference_weights(engine.model, Precision::bf16, drafts);
    const Bytes gpu = weights_of_gpu(pool);
    const std::int64_t ranks = pool.gpus_per_engine(), per_node = engine.gpus_per_node();
    const auto on_node = static_cast<double>(std::min(ranks, per_node));
    const auto nodes = static_cast<double>((ranks + per_node - 1) / per_node);
    const BytesPerSecond copy = engine.accelerator.copy_bandwidth.value;

    Startup startup;
    startup.warm_up = inputs.warm_up;
    startup.node_bytes = gpu * on_node;
    if (inputs.conversion == WeightConversion::on_load) {
        const double stored = fp8.value() / bf16.value();
        startup.node_bytes = startup.node_bytes * stored;
        startup.convert = over(gpu * (1 + stored), copy);
    } else if (inputs.conversion == WeightConversion::offline) {
        startup.convert_first = true;
        startup.convert =
            over(fp8, inputs.storage) + over(fp8 + bf16, copy) + over(bf16, inputs.write);
    }
    startup.read = over(startup.node_bytes, inputs.storage);
    startup.store = over(startup.node_bytes * nodes, inputs.store);
    return startup;
}

Sourced<Seconds> default_warm_up() {
    return {Seconds(120),
            {Origin::assumed,
             "processes, communicators and CUDA graphs of a large model come up "
             "in a minute or few; no published figure"}};
}

}  // namespace orrery
