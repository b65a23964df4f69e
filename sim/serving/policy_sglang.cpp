#include <algorithm>
#include <cmath>

#include "serving/policy_sets.hpp"

namespace orrery {
namespace {

// ServerArgs: chunks by memory; with data-parallel attention 0.3 of the caution; and
//   1 - mem_fraction_static = (512 + 1.5 chunk + 2 graph batch + 128 tp pp) MiB / memory,
// at least 10 GiB on devices of more than 60, graph batches up to 512, 256 where tp < 4. With
// data-parallel attention tp counts all ranks and graphs take more: on wide engines the formula
// leaves nothing and the fraction is set by hand; here what does not grow with the ranks is taken.
void fit(BatchPolicy& policy, const EngineSpec& engine) {
    constexpr double kMiB = 1 << 20;
    const double memory = engine.accelerator.memory.value.value() / kMiB;
    const double gib = memory / 1024;
    policy.chunk_tokens = gib < 35 ? 2048 : gib < 60 ? 4096 : gib < 160 ? 8192 : 16384;
    policy.token_budget = policy.chunk_tokens;
    const InferencePlan& plan = engine.plan;
    if (plan.dp > 1) {
        policy.reserve_ratio *= 0.3;
        policy.reserve_floor *= 0.3;
    }
    const auto tp = static_cast<double>(plan.tp * plan.dp), pp = static_cast<double>(plan.pp);
    const double graphs = gib < 35              ? (tp < 4 ? 24 : 80)
                          : gib < 60            ? (tp < 4 ? 32 : 160)
                          : gib < 160 && tp < 4 ? 256
                                                : 512;
    double reserved = 512 + 1.5 * static_cast<double>(policy.chunk_tokens) + 2 * graphs;
    if (plan.dp == 1) reserved += 128 * tp * pp;
    if (gib > 60) reserved = std::max(reserved, 10.0 * 1024);
    policy.kv.of_all = std::round((memory - reserved) / memory * 1000) / 1000;
}

}  // namespace

PolicyKind sglang_like() {
    BatchPolicy policy{.name = "sglang_like"};
    policy.mix = BatchMix::apart;
    policy.first = BatchFirst::prefill;
    policy.token_budget = policy.chunk_tokens = 8192;
    policy.max_sequences = 2048;
    policy.memory = MemoryRule::reserve;
    policy.reserve_ratio = 0.7;
    policy.reserve_floor = 0.098;
    policy.reserve_steps = 600;
    policy.hold_after_preemption = false;
    policy.page_tokens = 1;
    policy.kv = {.of_all = 0.88, .profiled = false};
    policy.write_through = true;
    policy.cpu_time = assumed_cpu(1);
    policy.cpu_overlapped = true;
    return {
        policy,
        "a batch is prompts (first) or decode; chunks of 8,192 tokens; a share of the output "
        "still to come is kept free, falling from 0.7 to 0.7 x 0.14 over 600 decode steps (0.3 "
        "of that with data-parallel attention) and reset when a sequence is retracted; in "
        "order of arrival; radix cache, written through to host memory where there is some; "
        "CPU work overlapped",
        "longest-prefix order, mixed chunks, chunks divided by the data-parallel ranks and "
        "memory for their graphs, the cap of 4,096 on a request's expected output, "
        "retraction of the sequence with the fewest tokens given out (the last admitted goes "
        "here), the ratio after a retraction computed from the batch, more than 2,048 running "
        "where the KV cache is large, "
        "pages of 64 tokens with FlashMLA",
        "sgl-project/sglang: python/sglang/srt/server_args.py of late 2025 "
        "(_handle_gpu_memory_settings, _handle_data_parallelism, schedule_policy fcfs, "
        "page_size 1, hicache_write_policy write_through), python/sglang/srt/environ.py "
        "(SGLANG_INIT_NEW_TOKEN_RATIO 0.7, MIN_NEW_TOKEN_RATIO_FACTOR 0.14, DECAY_STEPS 600), "
        "managers/schedule_policy.py at ad0119fd (PrefillAdder), model_executor/model_runner.py "
        "(2,048 to 4,096 requests); lmsys.org/blog/2024-12-04-sglang-v0-4",
        fit};
}

}  // namespace orrery
