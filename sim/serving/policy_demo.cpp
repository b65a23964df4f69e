#include "serving/policy_sets.hpp"

namespace orrery {

PolicyKind deepseek_infer_demo() {
    constexpr std::int64_t kBatch = 8, kLongest = 16384;
    BatchPolicy policy{.name = "deepseek_infer_demo"};
    policy.mix = BatchMix::apart;
    policy.first = BatchFirst::prefill;
    policy.token_budget = kBatch * kLongest;
    policy.chunk_tokens = 0;
    policy.max_sequences = kBatch;
    policy.static_batch = true;
    policy.memory = MemoryRule::reserve;
    policy.prefix_cache = false;
    policy.page_tokens = 1;
    policy.kv = {.most_tokens = kBatch * kLongest};
    policy.cpu_time = {Seconds(0),
                       {Origin::assumed, "a Python loop without a server: none stated"}};
    return {policy,
            "the README's demo: a batch of up to 8 prompts (max_batch_size) is taken together and "
            "nobody joins before all have ended; memory of 8 sequences of 16,384 tokens "
            "(max_seq_len) is taken at the start; no prefix cache",
            "padding: prompts longer than the shortest enter token by token, and sequences that "
            "have ended are computed until the last one has; memory is one sequence's as a whole",
            "deepseek-ai/DeepSeek-V3: inference/generate.py at 1c6947e6 (generate, batch mode), "
            "inference/model.py (ModelArgs: max_batch_size 8, max_seq_len 4096 x 4)"};
}

}  // namespace orrery
