#include "serving/policy_sets.hpp"

namespace orrery {
namespace {

// EngineArgs, usage context of the API server: 8,192 tokens and 1,024 sequences from 70 GiB on, but
// for the A100; 2,048 and 256 elsewhere.
void fit(BatchPolicy& policy, const EngineSpec& engine) {
    const bool large = engine.accelerator.memory.value.value() >= 70.0 * (1LL << 30);
    if (large && engine.accelerator.title.find("A100") == std::string::npos) return;
    policy.token_budget = policy.chunk_tokens = 2048;
    policy.max_sequences = 256;
}

}  // namespace

PolicyKind vllm_like() {
    BatchPolicy policy{.name = "vllm_like"};
    policy.token_budget = policy.chunk_tokens = 8192;
    policy.max_sequences = 1024;
    policy.watermark = 0;
    policy.hold_after_preemption = false;
    policy.page_tokens = 16;
    policy.kv = {.of_all = 0.92};
    policy.cpu_time = assumed_cpu(2);
    return {policy,
            "V1: one token budget an iteration, decode first, what is left to chunks of prompts in "
            "order of arrival; pages on demand; the last admitted is preempted and recomputed, and "
            "is first in line; nobody is admitted in an iteration that preempted; blocks of the "
            "prefix cache forgotten in order of use",
            "a prompt's pages are taken whole at admission instead of chunk by chunk; limits on "
            "long partial prefills; asynchronous scheduling; larger pages of some MLA kernels",
            "vllm-project/vllm: vllm/engine/arg_utils.py at 99d7eb5d (max_num_batched_tokens, "
            "max_num_seqs by device, chunked prefill and prefix caching on), "
            "vllm/v1/core/sched/scheduler.py at 00024d31 (schedule), "
            "vllm/v1/core/kv_cache_manager.py at 003df296 (watermark 0), vllm/config/cache.py at "
            "002f10e0 (block_size 16, gpu_memory_utilization 0.92 of the whole, activations "
            "profiled)",
            fit};
}

}  // namespace orrery
