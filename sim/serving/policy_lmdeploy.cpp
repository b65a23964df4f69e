#include "serving/policy_sets.hpp"

namespace orrery {
namespace {

// get_max_batch_size: A100 and A800 256, H100 and H800 512, others 128.
void fit(BatchPolicy& policy, const EngineSpec& engine) {
    const auto is = [&](const char* name) {
        return engine.accelerator.title.find(name) != std::string::npos;
    };
    policy.max_sequences = is("A100") || is("A800") ? 256 : is("H100") || is("H800") ? 512 : 128;
}

}  // namespace

PolicyKind lmdeploy_like() {
    BatchPolicy policy{.name = "lmdeploy_like"};
    policy.token_budget = policy.chunk_tokens = 8192;
    policy.max_sequences = 256;
    policy.watermark = 0;
    policy.hold_after_preemption = false;
    policy.prefix_cache = false;
    policy.page_tokens = 64;
    policy.kv = {.of_free = 0.8, .profiled = false};
    policy.cpu_time = assumed_cpu(1);
    return {
        policy,
        "TurboMind's persistent batch: a fixed number of slots, a waiting request joins as soon "
        "as one is free; requests in order of arrival share one token budget an iteration, so "
        "those that decode come before later prompts, which are cut; blocks on demand, taken "
        "from later requests, which are computed again as soon as there is room; no prefix "
        "caching unless asked for",
        "eviction of single blocks, so that a sequence keeps what is left of it (the whole goes "
        "here), checkpoints and forks of the prefix cache, stateful sessions, asynchronous "
        "execution, the PyTorch engine (prefill every 16 steps)",
        "InternLM/lmdeploy: lmdeploy/messages.py at 9f134dc4 (TurbomindEngineConfig: "
        "max_prefill_token_num 8192, cache_max_entry_count 0.8 of free memory, "
        "cache_block_seq_len 64, enable_prefix_caching false), lmdeploy/utils.py at 00596da9 "
        "(get_max_batch_size), src/turbomind/engine/{engine,scheduler}.cc at 0606471a "
        "(Schedule, RunRequiredAdmission)",
        fit};
}

}  // namespace orrery
