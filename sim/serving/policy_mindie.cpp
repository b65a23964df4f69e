#include "serving/policy_sets.hpp"

namespace orrery {

PolicyKind mindie_like() {
    BatchPolicy policy{.name = "mindie_like"};
    policy.mix = BatchMix::apart;
    policy.first = BatchFirst::prefill;
    policy.token_budget = 8192;
    policy.chunk_tokens = 0;
    policy.max_prompts = 50;
    policy.max_sequences = 200;
    policy.watermark = 0.05;
    policy.hold_after_preemption = false;
    policy.prefix_cache = false;
    policy.page_tokens = 128;
    policy.kv = {.of_all = 0.8};
    policy.cpu_time = assumed_cpu(1);
    return {
        policy,
        "prefill and decode in batches of their own, prefill first while 5 % of the blocks are "
        "free; whole prompts, at most 50 (maxPrefillBatchSize) and 8,192 tokens "
        "(maxPrefillTokens) a batch; maxBatchSize 200; blocks of 128; the last of the running "
        "is preempted and recomputed (maxPreemptCount 0 and cpuMemSize 0: no swapping unless "
        "asked for)",
        "the wait of maxQueueDelayMicroseconds before a prefill, a request that has waited "
        "maxFirstTokenWaitTime preempting others, no prefill while anything is swapped out, "
        "the choice of the phase by expected waste (supportSelectBatch) or latency, SplitFuse, "
        "prefix caching (a plug-in)",
        "Ascend/MindIE-LLM: src/server/conf/config.json at 653bca61 (ScheduleConfig), "
        "src/scheduler/scheduler.cpp at 4edba991 (DecidePDPriority, PRESERVED_FACTOR_FOR_DECODE "
        "0.05), src/scheduler/policy/fcfs_policy.cpp at ecfc8d2c (Preempt); its environment's "
        "NPU_MEMORY_FRACTION 0.8; hiascend.com, MindIE 2.3, configuration parameters"};
}

}  // namespace orrery
