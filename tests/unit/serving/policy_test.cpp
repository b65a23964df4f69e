// The named sets: each is there once, and says what it takes, leaves out and where from.
#include "serving/policy.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include <gtest/gtest.h>

#include "engines.hpp"
#include "serving/kv_share.hpp"
#include "serving/waiting_queue.hpp"
#include "serving_fixture.hpp"

namespace orrery {
namespace {

TEST(PolicyKinds, AreDocumented) {
    std::set<std::string> names;
    for (const PolicyKind& kind : policy_kinds()) {
        EXPECT_TRUE(names.insert(kind.policy.name).second);
        EXPECT_EQ(find_policy(kind.policy.name), &kind);
        EXPECT_FALSE(kind.takes.empty() || kind.leaves_out.empty() || kind.source.empty());
        EXPECT_FALSE(kind.policy.cpu_time.from.source.empty());
    }
    EXPECT_EQ(names.size(), 7U);
    EXPECT_EQ(find_policy("no_such_engine"), nullptr);
}

// The table of scenarios/README.md is what the sets are.
TEST(PolicyKinds, StandInTheReadme) {
    std::ifstream in("scenarios/README.md");
    const std::string readme(std::istreambuf_iterator<char>(in), {});
    for (const PolicyKind& kind : policy_kinds()) {
        const BatchPolicy& p = kind.policy;
        const std::string chunk = p.chunk_tokens == 0 ? "whole" : std::to_string(p.chunk_tokens);
        const std::string row = "| `" + p.name + "` | " + std::to_string(p.token_budget) + " | " +
                                std::to_string(p.max_sequences) + " | " + chunk + " | " +
                                std::to_string(p.page_tokens) + " | ";
        const std::size_t at = readme.find(row);
        ASSERT_NE(at, std::string::npos) << row;
        const std::string rest = readme.substr(at, readme.find('\n', at) - at);
        EXPECT_TRUE(rest.ends_with(p.prefix_cache ? "| kept |" : "| no |")) << rest;
    }
}

// Every set serves the same bursts in little memory; those that reserve the whole output, or know
// the peak, never preempt; one that takes pages on demand does.
TEST(PolicyKinds, ServeEverythingUnderPressure) {
    for (const PolicyKind& kind : policy_kinds()) {
        LinearTimer timer{.base_ps = kMillisecond, .prefill_ps = kMillisecond / 100};
        ClusterSpec spec = one_engine(timer);
        spec.pools[0].group.policy = kind.policy;
        spec.pools[0].group.kv = {.pages = 200, .page_tokens = 16};
        spec.pools[0].group.kv.host = {.tokens = 100'000, .load_per_token = {kMillisecond / 1000}};
        const ServingResult result =
            simulate_serving(spec, synthetic_stream({.arrivals = {ArrivalFamily::gamma, 5, 0.2},
                                                     .prompt = {LengthFamily::uniform, 1, 600},
                                                     .output = {LengthFamily::uniform, 1, 900},
                                                     .requests = 300}));
        EXPECT_EQ(result.finished, 300) << kind.policy.name;
        EXPECT_EQ(result.rejected_too_long, 0);
        const bool never =
            kind.policy.memory == MemoryRule::predicted_peak || kind.policy.reserve_floor == 1;
        if (kind.policy.memory != MemoryRule::on_demand && never) {
            EXPECT_EQ(result.preemptions, 0) << kind.policy.name;
        }
        if (kind.policy.name == "vllm_like") {
            EXPECT_GT(result.preemptions, 0);
        }
    }
}

// A set on one engine, an iteration a millisecond; the iterations it ran.
struct Played {
    ServingResult result;
    std::vector<Iteration> iterations;

    std::int64_t most_decoding() const {
        std::int64_t most = 0;
        for (const Iteration& it : iterations) most = std::max(most, it.decode_sequences);
        return most;
    }
    bool mixes() const {
        return std::any_of(iterations.begin(), iterations.end(), [](const Iteration& it) {
            return it.prefill_tokens > 0 && it.decode_sequences > 0;
        });
    }
    std::vector<std::int64_t> prompts() const {  // that have a part in each
        std::vector<std::int64_t> counts;
        for (const Iteration& it : iterations) counts.push_back(it.prefill_sequences);
        return counts;
    }
};
Played play(const char* name, const std::vector<Request>& requests, std::int64_t pages = 100'000,
            std::int64_t page_tokens = 16) {
    TableTimer timer{[](const Iteration&) { return 1; }};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.policy = find_policy(name)->policy;
    spec.pools[0].group.policy.cpu_time.value = Seconds(0);
    spec.pools[0].group.kv = {.pages = pages, .page_tokens = page_tokens};
    const bool blocks = !requests.front().blocks.empty();
    if (blocks) spec.pools[0].group.kv.block_tokens = 64;
    RequestStream stream = stream_of(requests);
    stream.block_tokens = blocks ? 64 : 0;
    const ServingResult result = simulate_serving(spec, stream);
    return {result, timer.asked};
}

// A decodes when B's prompt of 10,000 comes. vLLM: chunks of what A's token leaves of 8,192, beside
// its decode. SGLang: chunks of 8,192 in batches of their own, one after the other, A waits.
// TensorRT-LLM: the whole prompt beside A.
TEST(PolicyKinds, MixPromptsAndDecodeTheirWay) {
    const std::vector<Request> requests = {make_request(0, 100, 50), make_request(5, 10'000, 2)};
    const Played vllm = play("vllm_like", requests);
    EXPECT_EQ(vllm.iterations[5].prefill_tokens, 8191);
    EXPECT_EQ(vllm.iterations[5].decode_sequences, 1);
    EXPECT_EQ(vllm.iterations[6].prefill_tokens, 10'000 - 8191);
    EXPECT_EQ(vllm.iterations[6].decode_sequences, 1);

    const Played sglang = play("sglang_like", requests);
    EXPECT_FALSE(sglang.mixes());
    EXPECT_EQ(sglang.iterations[5].prefill_tokens, 8192);
    EXPECT_EQ(sglang.iterations[6].prefill_tokens, 10'000 - 8192);
    EXPECT_EQ(sglang.iterations[7].decode_sequences, 2);

    const Played trtllm = play("trtllm_like", requests);
    EXPECT_EQ(trtllm.iterations[5].prefill_tokens, 10'000);
    EXPECT_EQ(trtllm.iterations[5].decode_sequences, 1);
    EXPECT_TRUE(play("lmdeploy_like", requests).mixes());
    EXPECT_FALSE(play("mindie_like", requests).mixes());
}

// 20 pages of 16 tokens. A may come to 300 tokens, 19 pages; B needs one page at first, two in the
// end. GUARANTEED_NO_EVICT does not start B beside A, where pages on demand do.
TEST(PolicyKinds, TrtllmReservesTheWholeOutput) {
    const std::vector<Request> requests = {make_request(0, 100, 200), make_request(1, 10, 15)};
    const Played trtllm = play("trtllm_like", requests, 20);
    EXPECT_EQ(trtllm.most_decoding(), 1);
    EXPECT_EQ(trtllm.result.preemptions, 0);
    EXPECT_EQ(play("vllm_like", requests, 20).most_decoding(), 2);
}

// 8 pages, A and B come to 5 each: both are taken in, and the last admitted makes room and is
// computed again.
TEST(PolicyKinds, PagesOnDemandEndInRecomputation) {
    const std::vector<Request> requests = {make_request(0, 30, 50), make_request(0, 30, 50)};
    for (const char* name : {"vllm_like", "lmdeploy_like", "mindie_like"}) {
        const Played played = play(name, requests, 8);
        EXPECT_EQ(played.result.preemptions, 1) << name;
        EXPECT_EQ(played.result.swaps, 0) << name;
        EXPECT_GT(played.result.computed_prompt_tokens, 60) << name;
    }
}

// The same prompt of 150 tokens a second time, blocks of 64: two blocks are found, where the engine
// caches prefixes unless told otherwise.
TEST(PolicyKinds, CachePrefixesOrNot) {
    static const std::vector<std::uint64_t> blocks = {7, 8};
    std::vector<Request> requests = {make_request(0, 150, 1), make_request(100, 150, 1)};
    for (Request& request : requests) request.blocks = blocks;
    for (const char* name : {"vllm_like", "sglang_like", "trtllm_like"}) {
        EXPECT_EQ(play(name, requests).result.hit_tokens, 128) << name;
    }
    for (const char* name :
         {"lmdeploy_like", "lightllm_like", "mindie_like", "deepseek_infer_demo"}) {
        EXPECT_EQ(play(name, requests).result.hit_tokens, 0) << name;
    }
}

// LightLLM: B waits for six decode steps of A. Room for 150 tokens: A comes to 120 and B to 105,
// but B ends when A has 33, so that 138 fit at every moment. Reserving what both still need would
// not let it in.
TEST(PolicyKinds, LightllmLooksAtLaterMoments) {
    const std::vector<Request> requests = {make_request(0, 20, 100), make_request(1, 100, 5)};
    const Played lightllm = play("lightllm_like", requests, 150, 1);
    const std::vector<std::int64_t> prompts = lightllm.prompts();
    EXPECT_EQ(std::vector<std::int64_t>(prompts.begin(), prompts.begin() + 9),
              (std::vector<std::int64_t>{1, 0, 0, 0, 0, 0, 0, 1, 0}));
    EXPECT_EQ(lightllm.most_decoding(), 2);
    EXPECT_EQ(lightllm.result.preemptions, 0);
    EXPECT_EQ(play("trtllm_like", requests, 150, 1).most_decoding(), 1);
}

// MindIE: at most 50 prompts a batch, all prompts before decode.
TEST(PolicyKinds, MindieTakesFiftyPrompts) {
    const Played played = play("mindie_like", std::vector<Request>(60, make_request(0, 10, 3)));
    EXPECT_EQ(played.prompts(), (std::vector<std::int64_t>{50, 10, 0, 0}));
    EXPECT_EQ(played.most_decoding(), 60);
}

// The demo: eight of ten, and nobody more before the longest of them has ended.
TEST(PolicyKinds, TheDemosBatchIsStatic) {
    std::vector<Request> requests(10, make_request(0, 10, 2));
    requests[0].output_tokens = 4;
    const Played played = play("deepseek_infer_demo", requests);
    EXPECT_EQ(played.prompts(), (std::vector<std::int64_t>{8, 0, 0, 0, 2, 0}));
}

// What an engine chooses by device and plan.
TEST(PolicyKinds, FitTheDevice) {
    EngineSpec h800 = test::deepseek_engine(1);
    EngineSpec a100 = h800;
    a100.accelerator.title = "NVIDIA A100 SXM4 80 GB";
    const auto on = [](const char* name, const EngineSpec& engine) {
        return policy_on(*find_policy(name), engine);
    };
    EXPECT_EQ(on("vllm_like", h800).token_budget, 8192);
    EXPECT_EQ(on("vllm_like", h800).max_sequences, 1024);
    EXPECT_EQ(on("vllm_like", a100).token_budget, 2048);
    EXPECT_EQ(on("vllm_like", a100).max_sequences, 256);
    EXPECT_EQ(on("lmdeploy_like", h800).max_sequences, 512);
    EXPECT_EQ(on("lmdeploy_like", a100).max_sequences, 256);
    EXPECT_DOUBLE_EQ(on("sglang_like", h800).reserve_ratio, 0.7);
    // Data-parallel attention: 0.3 x 0.7. Tensor parallel 16 reserves 512 + 1.5 x 8192 + 2 x 512 +
    // 128 x 16 = 15,872 MiB of 80 GB (76,294 MiB): 0.792.
    EXPECT_DOUBLE_EQ(on("sglang_like", test::deepseek_engine(32)).reserve_ratio, 0.21);
    h800.plan.tp = 16;
    h800.accelerator.memory.value = Bytes(80e9);
    EXPECT_DOUBLE_EQ(on("sglang_like", h800).kv.of_all, 0.792);
}

// 80 GB, of which weights take 30, the runtime 2 and activations 5; 100 KB a token.
//   vLLM          0.92 x 80 - 37          LMDeploy   0.8 x (80 - 32)
//   TensorRT-LLM  0.9 x (80 - 37)         LightLLM   0.9 x 80 - 32, MindIE 0.8 x 80 - 37
// and never more than the 43 GB that are left.
TEST(KvShare, OfEachSet) {
    DeployedPool pool;
    pool.engine.accelerator.memory.value = Bytes(80e9);
    pool.memory = {
        {"weights", Bytes(30e9), {}}, {"activations", Bytes(5e9), {}}, {"runtime", Bytes(2e9), {}}};
    pool.kv_bytes_per_token = 1e5;
    const auto tokens = [&](const char* name) {
        return kv_tokens(find_policy(name)->policy.kv, pool);
    };
    EXPECT_NEAR(tokens("vllm_like"), 366'000, 1);
    EXPECT_NEAR(tokens("trtllm_like"), 387'000, 1);
    EXPECT_NEAR(tokens("lmdeploy_like"), 384'000, 1);
    EXPECT_NEAR(tokens("lightllm_like"), 400'000, 1);
    EXPECT_NEAR(tokens("mindie_like"), 270'000, 1);
    EXPECT_EQ(tokens("deepseek_infer_demo"), 131'072);
    EXPECT_NEAR(kv_tokens({}, pool), 430'000, 1);
    EXPECT_NEAR(kv_tokens({.of_all = 1, .profiled = false}, pool), 430'000, 1);
    EXPECT_EQ(kv_tokens({.of_all = 0.3}, pool), 0);
}

TEST(WaitingQueue, FrontThenLevelsThenArrival) {
    WaitingQueue queue;
    queue.push(1, 0);
    queue.push(2, 3);
    queue.push(3, 0);
    queue.push(4, 3);
    queue.push_front(5);
    queue.push_front(6);
    std::vector<std::uint32_t> order;
    EXPECT_EQ(queue.size(), 6);
    while (!queue.empty()) {
        order.push_back(queue.top());
        queue.pop();
    }
    EXPECT_EQ(order, (std::vector<std::uint32_t>{6, 5, 2, 4, 1, 3}));
}

// The one of priority 5 that comes last is served first of those that wait.
TEST(Admission, ByPriority) {
    LinearTimer timer{.prefill_ps = kMillisecond};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.policy.max_sequences = 1;
    spec.pools[0].group.policy.order = AdmissionOrder::priority;
    std::vector<Request> requests = {make_request(0, 100, 1), make_request(1, 100, 1),
                                     make_request(2, 100, 1)};
    requests[2].priority = 5;
    const ServingResult result = simulate_serving(spec, stream_of(requests));
    // TTFT 100, 198 (priority 5), 299.
    EXPECT_NEAR(result.ttft.percentile(0.5).value(), 0.198, 0.198 * DurationSketch::kRelativeError);
    EXPECT_NEAR(result.ttft.mean().value(), (0.1 + 0.198 + 0.299) / 3, 1e-9);
}

// Objective 150 ms. At 100 ms B (there since 10) is next; at 200 ms C (since 20) has missed it and
// D (since 120) has not: D goes first, and C at the end.
TEST(Admission, ThoseThatMissedTheObjectiveStepBack) {
    LinearTimer timer{.prefill_ps = kMillisecond};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.policy.max_sequences = 1;
    spec.pools[0].group.policy.order = AdmissionOrder::slo;
    spec.pools[0].group.ttft_objective = {150 * kMillisecond};
    const std::vector<Request> requests = {make_request(0, 100, 1), make_request(10, 100, 1),
                                           make_request(20, 100, 1), make_request(120, 100, 1)};
    const ServingResult result = simulate_serving(spec, stream_of(requests));
    EXPECT_NEAR(result.ttft.mean().value(), (0.1 + 0.19 + 0.38 + 0.18) / 4, 1e-9);
}

}  // namespace
}  // namespace orrery
