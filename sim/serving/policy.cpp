#include "serving/policy.hpp"

namespace orrery {
namespace {

constexpr const char* kOverheadStudy =
    "a round number, nobody's measurement of a whole iteration. Published around it: vLLM before "
    "0.6 spent 29 % of its time on scheduling beside 38 % on the GPU, Llama-3-8B on an H100 "
    "(vLLM blog, 2024-09-05), and its GPU waited 4 ms a decode step (vllm-project/vllm issue "
    "6854); V1's scheduler takes 0.2 ms, states and inputs 0.23 ms more (pull request 42131), "
    "outputs of 128 sequences 0.14 ms (46112), copies and processes' messages not counted; "
    "Srivatsa et al., mlsys.wuklab.io/posts/scheduling_overhead (2024): from a few percent to over "
    "half of an iteration";

Sourced<Seconds> assumed_cpu(double milliseconds) {
    return {Seconds(milliseconds * 1e-3), {Origin::assumed, kOverheadStudy}};
}

PolicyKind sglang_like() {
    BatchPolicy policy{.name = "sglang_like"};
    policy.mix = BatchMix::apart;
    policy.first = BatchFirst::prefill;
    policy.token_budget = 8192;
    policy.chunk_tokens = 8192;
    policy.max_sequences = 1024;
    policy.memory = MemoryRule::reserve;
    policy.reserve_ratio = 0.7;
    policy.reserve_floor = 0.098;
    policy.reserve_steps = 600;
    policy.cpu_time = assumed_cpu(1);
    policy.cpu_overlapped = true;
    return {policy,
            "a batch is prompts (first) or decode; chunks of 8,192 tokens; a share of the output "
            "still to come is kept free, falling from 0.7 to 0.7 x 0.14 over 600 decode steps and "
            "reset when a sequence is retracted; radix cache; CPU work overlapped (v0.4)",
            "longest-prefix order, mixed chunks, the cap of 4,096 on a request's expected output, "
            "the ratio after a retraction computed from the batch",
            "SGLang server arguments (chunked_prefill_size, schedule_conservativeness) and "
            "scheduler constants; lmsys.org/blog/2024-12-04-sglang-v0-4"};
}

PolicyKind vllm_like() {
    BatchPolicy policy{.name = "vllm_like"};
    policy.token_budget = 8192;
    policy.chunk_tokens = 8192;
    policy.max_sequences = 256;
    policy.watermark = 0.01;
    policy.hold_after_preemption = false;
    policy.cpu_time = assumed_cpu(2);
    return {policy,
            "V1: one token budget an iteration, decode first, what is left to chunks of prompts in "
            "order of arrival; pages on demand above a watermark; the last admitted is preempted "
            "and recomputed, and is first in line; nobody is admitted in an iteration that "
            "preempted; blocks of the prefix cache forgotten in order of use",
            "a prompt's pages are taken whole at admission instead of chunk by chunk; limits on "
            "long partial prefills; asynchronous scheduling",
            "docs.vllm.ai/en/v0.17.1/configuration/optimization (chunked prefill, preemption); "
            "docs.vllm.ai/en/v0.10.2/api/vllm/config/scheduler.html"};
}

PolicyKind trtllm_like() {
    BatchPolicy policy{.name = "trtllm_like"};
    policy.token_budget = 8192;
    policy.chunk_tokens = 8192;
    policy.max_sequences = 2048;
    policy.memory = MemoryRule::reserve;
    policy.reserve_ratio = policy.reserve_floor = 1;
    policy.cpu_time = assumed_cpu(1);
    policy.cpu_overlapped = true;
    return {policy,
            "GUARANTEED_NO_EVICT: a request starts only if it can end without preemption, its "
            "whole output reserved; in-flight batching of context and generation in one iteration; "
            "max_batch_size 2048 and max_num_tokens 8192; overlap scheduler",
            "MAX_UTILIZATION, chunking policies, the decoding step that the overlap scheduler "
            "wastes at a sequence's end",
            "nvidia.github.io/TensorRT-LLM: performance-tuning-guide/useful-runtime-flags, "
            "features/paged-attention-ifb-scheduler, features/overlap-scheduler"};
}

PolicyKind lmdeploy_like() {
    BatchPolicy policy{.name = "lmdeploy_like"};
    policy.token_budget = 8192;
    policy.chunk_tokens = 8192;
    policy.max_sequences = 256;
    policy.first = BatchFirst::prefill;
    policy.watermark = 0;
    policy.cpu_time = assumed_cpu(1);
    return {
        policy,
        "TurboMind's persistent batch: a fixed number of slots, a waiting request joins as soon "
        "as one is free and its prompt runs beside decode; max_prefill_token_num 8192; on lack "
        "of pages the least favoured sequence falls back to its tokens and is recomputed",
        "its eviction by last use of whole sequences (the last admitted goes here), stateful "
        "sessions, the PyTorch engine",
        "LMDeploy documentation, TurboMind (persistent batch, KV cache manager) and "
        "TurbomindEngineConfig"};
}

PolicyKind lightllm_like() {
    BatchPolicy policy{.name = "lightllm_like"};
    policy.mix = BatchMix::apart;
    policy.first = BatchFirst::decode;
    policy.prefill_interval = 8;
    policy.token_budget = 8192;
    policy.chunk_tokens = 8192;
    policy.max_sequences = 1000;
    policy.memory = MemoryRule::predicted_peak;
    policy.cpu_time = assumed_cpu(1);
    return {policy,
            "past-future scheduling: a request is admitted if the greatest need of memory at any "
            "later moment fits; waiting prompts are merged into a batch of their own after some "
            "decode steps (router_max_wait_tokens); at most 1,000 running",
            "output lengths predicted from past requests (the true ones are used, so it never "
            "preempts for a wrong guess)",
            "ModelTC/lightllm docs/ApiServerArgs.md; Gong et al., Past-Future Scheduler, ASPLOS "
            "2025"};
}

PolicyKind mindie_like() {
    BatchPolicy policy{.name = "mindie_like"};
    policy.mix = BatchMix::apart;
    policy.first = BatchFirst::prefill;
    policy.token_budget = 8192;
    policy.chunk_tokens = 0;
    policy.max_sequences = 200;
    policy.watermark = 0;
    policy.preemption = Preemption::swap;
    policy.cpu_time = assumed_cpu(1);
    return {policy,
            "prefill and decode in batches of their own, prefill first; whole prompts up to "
            "maxPrefillTokens 8192; maxBatchSize 200; KV blocks of 128 are usual; swap to host "
            "memory where it is configured",
            "the choice of the phase by expected waste (supportSelectBatch) or by latency model "
            "(least laxity first), SplitFuse",
            "hiascend.com MindIE Service configuration parameters (ScheduleConfig)"};
}

PolicyKind deepseek_infer_demo() {
    BatchPolicy policy{.name = "deepseek_infer_demo"};
    policy.mix = BatchMix::apart;
    policy.first = BatchFirst::prefill;
    policy.token_budget = 1'000'000'000;
    policy.chunk_tokens = 0;
    policy.max_sequences = 4;
    policy.static_batch = true;
    policy.memory = MemoryRule::reserve;
    policy.prefix_cache = false;
    policy.cpu_time = {Seconds(0),
                       {Origin::assumed, "a Python loop without a server: none stated"}};
    return {policy,
            "the README's demo: a batch of prompts is taken together and nobody joins before all "
            "have ended; the whole output has its memory from the start; no prefix cache",
            "padding: prompts longer than the shortest enter token by token, and sequences that "
            "have ended are computed until the last one has",
            "deepseek-ai/DeepSeek-V3 inference/generate.py (generate, batch mode) and model.py "
            "(max_batch_size)"};
}

}  // namespace

const std::vector<PolicyKind>& policy_kinds() {
    static const std::vector<PolicyKind> kinds = {
        sglang_like(),   vllm_like(),   trtllm_like(),        lmdeploy_like(),
        lightllm_like(), mindie_like(), deepseek_infer_demo()};
    return kinds;
}

const PolicyKind* find_policy(std::string_view name) {
    for (const PolicyKind& kind : policy_kinds()) {
        if (kind.policy.name == name) return &kind;
    }
    return nullptr;
}

}  // namespace orrery
