#include "serving/policy_sets.hpp"

namespace orrery {

PolicyKind lightllm_like() {
    BatchPolicy policy{.name = "lightllm_like"};
    policy.mix = BatchMix::apart;
    policy.first = BatchFirst::decode;
    policy.prefill_interval = 6;
    policy.token_budget = 16384;
    policy.chunk_tokens = 8192;
    policy.max_sequences = 1000;
    policy.memory = MemoryRule::predicted_peak;
    policy.prefix_cache = false;
    policy.page_tokens = 1;
    policy.kv = {.of_all = 0.9, .profiled = false};
    policy.cpu_time = assumed_cpu(1);
    return {
        policy,
        "past-future scheduling: a request is admitted if the greatest need of memory at any "
        "later moment fits, each running request counted to its end; waiting prompts are "
        "merged into a batch of their own after 6 decode steps (router_max_wait_tokens); at "
        "most 1,000 running and 16,384 tokens a batch, chunks of 8,192; a token is the unit of "
        "the cache",
        "lengths expected from past requests (the router counts on max_new_tokens while "
        "router_token_ratio is 0; the true output stands for it, so it never pauses a request), "
        "dynamic prompt cache (off by default then), the later aggressive schedule",
        "ModelTC/lightllm: lightllm/server/api_cli.py at 051a2bcf (router_max_wait_tokens 6, "
        "chunked_prefill_size 8192, running_max_req_size 1000, mem_fraction 0.9, "
        "router_token_ratio 0), api_start.py (batch_max_tokens = min(max_req_total_len 16384, "
        "2 x chunk)), router/req_queue/chunked_prefill/impl.py at 05936590 (_can_add_new_req); "
        "Gong et al., Past-Future Scheduler, ASPLOS 2025"};
}

}  // namespace orrery
