#include "serving/timer_memo.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "serving_fixture.hpp"

namespace orrery {
namespace {

Iteration decode(std::int64_t sequences, std::int64_t context) {
    Iteration it;
    it.decode_sequences = it.decode_tokens = sequences;
    it.decode_context = context;
    return it;
}

// Time in proportion to the context, the worst there is: within 1/256. Asked twice over, in another
// order, it answers the same and asks the timer no more.
TEST(TimerMemo, IsWithinItsErrorAndRemembers) {
    TableTimer timer{[](const Iteration& it) { return it.decode_context; }};
    TimerMemo memo{AnyTimer(timer)};
    std::vector<std::int64_t> first;
    for (std::int64_t context = 1; context < 1'000'000; context += 1 + context / 3) {
        const double time = static_cast<double>(memo.time(decode(7, context)).ps) / 1e9;
        EXPECT_NEAR(time, static_cast<double>(context), static_cast<double>(context) / 256);
        if (context < 256) {
            EXPECT_EQ(time, context);
        }
        first.push_back(memo.time(decode(7, context)).ps);
    }
    EXPECT_LE(timer.asked.size(), first.size());
    TimerMemo other{AnyTimer(timer)};
    std::vector<std::int64_t> contexts;
    for (std::int64_t c = 1; c < 1'000'000; c += 1 + c / 3) contexts.push_back(c);
    for (std::size_t i = contexts.size(); i-- > 0;) {
        EXPECT_EQ(other.time(decode(7, contexts[i])).ps, first[i]);
    }
}

TEST(TimerMemo, PassesPromptsOn) {
    TableTimer timer{[](const Iteration& it) { return it.prefill_tokens; }};
    TimerMemo memo{AnyTimer(timer)};
    Iteration it = decode(3, 1001);
    it.prefill_tokens = 5;
    EXPECT_EQ(memo.time(it).ps, 5 * kMillisecond);
    EXPECT_EQ(timer.asked.back(), it);
    // And decoding beside another group's prompts.
    EngineIteration beside = decode(3, 1001);
    beside.prompts = true;
    memo.time(beside);
    EXPECT_EQ(timer.engines.back(), beside);
}

// The same slowest group in engines of other means, and its own time with and without prompts
// elsewhere, are other questions.
TEST(TimerMemo, TellsEnginesApart) {
    struct ByAll {
        SimDuration time(const EngineIteration& it) {
            return {1000 * it.mean_tokens + it.fullest_tokens};
        }
        SimDuration own_time(const Iteration& it, bool prompts) {
            return {it.decode_tokens + (prompts ? 1000 : 0)};
        }
    } timer;
    TimerMemo memo{AnyTimer(timer)};
    EngineIteration it = decode(3, 100);
    EXPECT_EQ(memo.time(it).ps, 3003);
    it.mean_tokens = 2;
    EXPECT_EQ(memo.time(it).ps, 2003);
    it.fullest_tokens = 4;
    EXPECT_EQ(memo.time(it).ps, 2004);
    for (int twice = 0; twice < 2; ++twice) {
        EXPECT_EQ(memo.own_time(it.slowest, false).ps, 3);
        EXPECT_EQ(memo.own_time(it.slowest, true).ps, 1003);
    }
}

}  // namespace
}  // namespace orrery
