// Claims about sizes, latencies and money.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/unit_text.hpp"
#include "model/accounting.hpp"
#include "model/inference_memory.hpp"
#include "model/read_config.hpp"
#include "study/claim_engines.hpp"
#include "study/serve_answer.hpp"

namespace orrery {

namespace {

constexpr double kDay = 86400;

// Most sequences a GPU decodes at this speed for each.
std::int64_t sequences_at_speed(IterationTime& time, std::int64_t context, std::int64_t verified,
                                double accepted, double tokens_per_second) {
    std::int64_t low = 1, high = 1024;
    while (low < high) {
        const std::int64_t n = (low + high + 1) / 2;
        const double t = time.parts(decoding_of(n, context, verified)).total;
        if (accepted / t >= tokens_per_second) {
            low = n;
        } else {
            high = n - 1;
        }
    }
    return low;
}

}  // namespace

ClaimAnswer claim_latency(const ClaimRequest& request) {
    ClaimAnswer answer{
        "latency",
        "\"TTFT 100 to 200 ms, TPOT 40 to 50 ms\" (in circulation, no source)",
        {"latency", "DeepSeek's units on H800 without a queue", {{"what", ""}, {"time", "s"}}, {}},
        ""};
    const IterationScenario p = claim_case(request, "deepseek_profile_prefill");
    EngineSpec engine = engine_of(p);
    engine.overlap = Overlap::automatic;
    const SharedPrices prices = prices_of(p);
    IterationTime prefill(engine, prices);
    std::int64_t most = 0;
    for (const std::int64_t length : {256, 512, 1024, 2048, 4096}) {
        tell(request, fmt::format("a prompt of {}", length));
        const double t = prefill.parts(prompts_of(1, length, 0)).total;
        answer.table.rows.push_back({fmt::format("prefill, one prompt of {} a GPU", length), t});
        if (t <= 0.2) most = length;
    }
    answer.table.rows.push_back({std::string("prefill, 16,384 tokens a GPU (the profile)"),
                                 prefill.parts(prompts_of(4, 4096, 0)).total});
    const IterationScenario d = claim_case(request, "deepseek_profile_decode");
    IterationTime decode(engine_of(d), prices);
    const double step = decode.parts(decoding_of(128, 4096, 2)).total;
    answer.table.rows.push_back(
        {std::string("decode, 128 sequences a GPU, a token at 1.8 a step"), step / 1.8});
    answer.verdict = fmt::format(
        "TPOT holds: {:.0f} ms a token, as the 20 to 22 tokens a second published. TTFT does not "
        "at throughput-sized batches: 200 ms are enough for prompts of at most about {} tokens a "
        "GPU with nothing waiting; a full iteration takes {:.1f} s.",
        1e3 * step / 1.8, most, prefill.parts(prompts_of(4, 4096, 0)).total);
    return answer;
}

ClaimAnswer claim_memory(const ClaimRequest& request) {
    ClaimAnswer answer{
        "memory",
        "\"About 735 GB at 64K context, batch 8\" (in circulation, no source)",
        {"memory", "DeepSeek-V3, FP8 weights, BF16 cache", {{"what", ""}, {"size", "B"}}, {}},
        ""};
    const IterationScenario s = claim_case(request, "deepseek_profile_decode");
    const double weights = inference_weights(s.model, Precision::fp8_block, false).value();
    const double mtp = inference_weights(s.model, Precision::fp8_block, true).value() - weights;
    const double cache = 8 * 65536.0 * static_cast<double>(kv_bytes_per_token(s.model, 2));
    InferencePlan plan;
    plan.tp = plan.ep = 16;
    plan.precision = Precision::fp8_block;
    double each = 2e9;
    InferenceLimits limits;
    limits.prefill_tokens = 8192;
    limits.decode_tokens = 8;
    for (const MemoryItem& item : inference_memory(s.model, plan, limits)) {
        if (item.name != "weights") each += item.bytes.value();
    }
    const auto row = [&](const char* what, double bytes) {
        answer.table.rows.push_back({std::string(what), bytes});
    };
    row("weights", weights);
    row("MTP module", mtp);
    row("KV cache of 8 x 65,536 tokens, once", cache);
    row("sum", weights + mtp + cache);
    row("buffers and runtime, each of 16 GPUs (TP16)", each);
    row("all of it on 16 GPUs, the cache on each of them", weights + mtp + 16 * (cache + each));
    answer.verdict = fmt::format(
        "Weights and one copy of the cache are {:.0f} GB: the claim is near if what engines add "
        "is small. Under tensor parallelism every GPU keeps the whole latent cache ({:.1f} GB "
        "each), so TP16 needs {:.0f} GB.",
        (weights + mtp + cache) / 1e9, cache / 1e9, (weights + mtp + 16 * (cache + each)) / 1e9);
    return answer;
}

ClaimAnswer claim_nodes(const ClaimRequest& request) {
    ClaimAnswer answer{"nodes",
                       "\"Two nodes of 8 GPUs at least\" (in circulation; not from DeepSeek)",
                       {"nodes",
                        "Fewest nodes that hold DeepSeek-V3's weights, 2 GB of runtime "
                        "each and one sequence of 131,072 tokens",
                        {{"accelerator", ""},
                         {"memory", "B"},
                         {"BF16", ""},
                         {"FP8", ""},
                         {"INT8", ""},
                         {"INT4", ""}},
                        {}},
                       ""};
    const IterationScenario s = claim_case(request, "deepseek_profile_decode");
    for (const char* name : {"h800_sxm5", "h100_sxm5", "b200", "mi300x", "a100_sxm4"}) {
        const AcceleratorProfile gpu = load_accelerator(name, request.profiles);
        std::vector<Cell> row = {gpu.title, gpu.memory.value.value()};
        for (const Precision p : {Precision::bf16, Precision::fp8_block, Precision::int8_weight,
                                  Precision::int4_weight}) {
            row.emplace_back(least_nodes(s.model, p, gpu.memory.value, 8, 131072, 16));
        }
        answer.table.rows.push_back(std::move(row));
    }
    answer.verdict =
        "Nodes of 8, each a tensor group and a pipeline stage. Two nodes are right for FP8 on 80 "
        "GB "
        "GPUs; four-bit weights, or GPUs with twice the memory, take one, BF16 on 80 GB three.";
    return answer;
}

ClaimAnswer claim_sparse(const ClaimRequest& request) {
    ClaimAnswer answer{
        "sparse",
        "DeepSeek-V3.2-Exp's API prices fell by more than half with sparse attention "
        "(its announcement, 2025-09-29)",
        {"sparse",
         "Time per token over V3's, DeepSeek's units on H800",
         {{"context", ""},
          {"prefill of V3", "s"},
          {"of V3.2", "s"},
          {"V3.2 / V3, prefill", ""},
          {"decode of V3", "s"},
          {"of V3.2 ", "s"},
          {"V3.2 / V3, decode", ""}},
         {}},
        ""};
    const IterationScenario p = claim_case(request, "deepseek_profile_prefill");
    const IterationScenario d = claim_case(request, "deepseek_profile_decode");
    const auto sparse =
        load_model(request.cases.parent_path().parent_path() / "models" / "deepseek_v3_2.json");
    const SharedPrices prices = prices_of(p);
    const auto with = [&](const IterationScenario& s, bool is_sparse) {
        EngineSpec engine = engine_of(s);
        if (is_sparse) engine.model = sparse;
        engine.draft_tokens = 0;
        engine.overlap = Overlap::automatic;
        return engine;
    };
    IterationTime p3(with(p, false), prices), p32(with(p, true), prices);
    IterationTime d3(with(d, false), prices), d32(with(d, true), prices);
    double prefill = 1, decode = 1;
    for (const std::int64_t context : {4096, 16384, 32768, 65536, 131072}) {
        tell(request, fmt::format("context {}", context));
        // A chunk of 4096 in the middle of the prompt; as many tokens of cache whatever the length.
        const Iteration chunk = prompts_of(2, 4096, context / 2);
        const Iteration step = decoding_of(std::max<std::int64_t>(2, 524288 / context), context, 1);
        const double a = p3.parts(chunk).total / 8192, b = p32.parts(chunk).total / 8192;
        const auto n = static_cast<double>(step.decode_sequences);
        const double e = d3.parts(step).total / n, f = d32.parts(step).total / n;
        answer.table.rows.push_back({context, a, b, b / a, e, f, f / e});
        prefill = b / a;
        decode = f / e;
    }
    answer.verdict = fmt::format(
        "At 131,072 tokens of context a prompt's token takes {:.2f} and a decoded one {:.2f} of "
        "V3's time; at a few thousand nothing is saved. Halved prices follow from cost only for "
        "long contexts.",
        prefill, decode);
    return answer;
}

ClaimAnswer claim_day(const ClaimRequest& request) {
    ClaimAnswer answer{
        "day",
        "24 hours of 2025-02-27: 608 B input tokens of which 342 B were cached, 168 B "
        "output tokens, 4,989 tokens of mean context, 20 to 22 tokens a second each; "
        "226.75 H800 nodes on average, $87,072 (deepseek-ai/open-infra-index, day 6)",
        {"day",
         "The same tokens on the same units, always fully loaded",
         {{"figure", ""}, {"published", ""}, {"ours", ""}},
         {}},
        ""};
    const IterationScenario p = claim_case(request, "deepseek_profile_prefill");
    const IterationScenario d = claim_case(request, "deepseek_profile_decode");
    const SharedPrices prices = prices_of(p);
    EngineSpec prefill = engine_of(p), decode = engine_of(d);
    // EP32 and EP144 with 32 redundant experts each; everybody's tokens as a balancer leaves them.
    prefill.routing.redundant = 32;
    decode.routing.redundant = 32;
    decode.plan.dp = decode.plan.ep = 144;
    IterationTime prefill_time(prefill, prices), decode_time(decode, prices);
    const double computed = 608e9 - 342e9;
    // 342 of 608 tokens are cached before the 266 that are computed.
    const std::int64_t length = 4096, cached = std::llround(4096 * 342.0 / 266.0);
    const double prefill_rate = 8 * 16384 / prefill_time.parts(prompts_of(4, length, cached)).total;
    const double accepted = 1.8, speed = 21;
    const std::int64_t sequences = sequences_at_speed(decode_time, 4989, 2, accepted, speed);
    const double step = decode_time.parts(decoding_of(sequences, 4989, 2)).total;
    const double decode_rate = 8 * static_cast<double>(sequences) * accepted / step;
    const double prefill_nodes = computed / kDay / prefill_rate;
    const double decode_nodes = 168e9 / kDay / decode_rate;
    const double nodes = prefill_nodes + decode_nodes;
    const double price = p.cluster.price_per_gpu_hour.value.value();
    const auto row = [&](const char* what, std::string published, std::string ours) {
        answer.table.rows.push_back({std::string(what), std::move(published), std::move(ours)});
    };
    const auto dollars = [](double x) {
        const auto whole = std::llround(x);
        return fmt::format("${},{:03}", whole / 1000, whole % 1000);
    };
    const auto thousands = [](double x) { return fmt::format("{:.1f} k", x / 1e3); };
    row("prefill, input tokens/s a node with cached ones", "73.7 k",
        thousands(prefill_rate * 608 / 266));
    row("prefill, computed tokens/s a node", "32.2 k, derived", thousands(prefill_rate));
    row("decode, output tokens/s a node", "14.8 k", thousands(decode_rate));
    row("sequences a decode GPU holds at 21 tokens/s each", "-", fmt::format("{}", sequences));
    row("prefill nodes", "95.5, derived", fmt::format("{:.1f}", prefill_nodes));
    row("decode nodes", "131.4, derived", fmt::format("{:.1f}", decode_nodes));
    row("nodes", "226.75", fmt::format("{:.1f}", nodes));
    row("cost of the day at 2 USD/h a GPU", "$87,072", dollars(nodes * 8 * 24 * price));
    row("cost of those 226.75 nodes", "$87,072", dollars(226.75 * 8 * 24 * price));
    answer.verdict = fmt::format(
        "derived: 266 of 608 input tokens are computed; the day's tokens over the published rate "
        "of "
        "a node. Fully loaded units would do the day with {:.0f} nodes: the service ran at {:.0f} "
        "% of "
        "that, {:.0f} % in prefill and {:.0f} % in decoding. Load follows the hour (nodes were "
        "given to training at night), prompts come unevenly and experts are not balanced: none of "
        "it is in this figure.",
        nodes, 100 * nodes / 226.75, 100 * prefill_nodes / 95.5, 100 * decode_nodes / 131.4);
    return answer;
}

}  // namespace orrery
