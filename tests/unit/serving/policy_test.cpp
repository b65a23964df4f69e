// The named sets: each is there once, and says what it takes, leaves out and where from.
#include "serving/policy.hpp"

#include <set>

#include <gtest/gtest.h>

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
        if (kind.policy.name == "mindie_like") {
            EXPECT_GT(result.swaps, 0);
        }
    }
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
