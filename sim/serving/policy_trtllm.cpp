#include "serving/policy_sets.hpp"

namespace orrery {

PolicyKind trtllm_like() {
    BatchPolicy policy{.name = "trtllm_like"};
    policy.token_budget = 8192;
    policy.chunk_tokens = 0;
    policy.max_sequences = 2048;
    policy.memory = MemoryRule::reserve;
    policy.reserve_ratio = policy.reserve_floor = 1;
    policy.page_tokens = 32;
    policy.kv = {.of_free = 0.9};
    policy.cpu_time = assumed_cpu(1);
    policy.cpu_overlapped = true;
    return {
        policy,
        "GUARANTEED_NO_EVICT: a request starts only if it can end without preemption, its "
        "whole output reserved; in-flight batching of whole prompts and generation in one "
        "iteration; max_batch_size 2048 and max_num_tokens 8192; blocks reused; overlap "
        "scheduler",
        "MAX_UTILIZATION, chunked context (off by default), prompts longer than the token "
        "budget refused (one runs alone here), reserving what a request may ask for rather "
        "than what it gives, the decoding step that the overlap scheduler wastes at a "
        "sequence's end",
        "NVIDIA/TensorRT-LLM: tensorrt_llm/llmapi/llm_args.py at fcd3f316 (GUARANTEED_NO_EVICT, "
        "enable_chunked_prefill false, enable_block_reuse true, free_gpu_memory_fraction 90 % "
        "of what is free); nvidia.github.io/TensorRT-LLM: "
        "performance-tuning-guide/useful-runtime-flags (2048, 8192), features/kvcache, "
        "features/paged-attention-ifb-scheduler, features/overlap-scheduler; 32 tokens a block"};
}

}  // namespace orrery
