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
}

}  // namespace
}  // namespace orrery
