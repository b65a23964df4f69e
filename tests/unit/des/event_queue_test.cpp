#include "des/event_queue.hpp"

#include <limits>

#include "core/error.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kEarliest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kLatest = std::numeric_limits<std::int64_t>::max();

Event at(std::int64_t time_ps, std::uint32_t target) { return Event::make(time_ps, 0, target); }

std::vector<std::uint32_t> drain(EventQueue& queue) {
    std::vector<std::uint32_t> targets;
    while (!queue.empty()) targets.push_back(queue.pop().target);
    return targets;
}

// Times 30, 10, 20 leave as 10, 20, 30: targets 1, 2, 0.
TEST(EventQueue, PopsInOrderOfTime) {
    EventQueue queue;
    queue.push(at(30, 0));
    queue.push(at(10, 1));
    queue.push(at(20, 2));
    EXPECT_EQ(queue.size(), 3U);
    EXPECT_EQ(queue.top_time(), 10);
    EXPECT_EQ(drain(queue), (std::vector<std::uint32_t>{1, 2, 0}));
}

// Targets 0..99, even ones at time 7 and odd ones at time 8: evens in order, then odds in order.
// 100 events share a bucket, which is dealt out.
TEST(EventQueue, TiesLeaveInOrderOfArrival) {
    EventQueue queue;
    for (std::uint32_t i = 0; i < 100; ++i) queue.push(at(7 + i % 2, i));
    std::vector<std::uint32_t> expected;
    for (std::uint32_t i = 0; i < 100; i += 2) expected.push_back(i);
    for (std::uint32_t i = 1; i < 100; i += 2) expected.push_back(i);
    EXPECT_EQ(drain(queue), expected);
}

// top_time() does not commit: after looking at 100, time 50 may still come, and comes first.
TEST(EventQueue, LookingDoesNotAdvance) {
    EventQueue queue;
    queue.push(at(100, 0));
    EXPECT_EQ(queue.top_time(), 100);
    queue.push(at(50, 1));
    EXPECT_EQ(queue.top_time(), 50);
    EXPECT_EQ(drain(queue), (std::vector<std::uint32_t>{1, 0}));
}

// After popping time 10, time 10 is allowed, time 9 is not; the failed push leaves no trace.
TEST(EventQueue, PastIsAnError) {
    EventQueue queue;
    queue.push(at(10, 0));
    queue.pop();
    queue.push(at(10, 1));
    EXPECT_THROW(queue.push(at(9, 2)), SimulationError);
    EXPECT_EQ(queue.size(), 1U);
    EXPECT_EQ(queue.pop().target, 1U);
}

TEST(EventQueue, EmptyIsAnError) {
    EventQueue queue;
    EXPECT_THROW(queue.pop(), SimulationError);
    EXPECT_THROW(static_cast<void>(queue.top_time()), SimulationError);
    queue.push(at(1, 0));
    queue.pop();
    EXPECT_THROW(queue.pop(), SimulationError);
}

// Keys 0 and 2^64 - 1, and both sides of zero, where the sign bit flips.
TEST(EventQueue, WholeRangeOfTimes) {
    EventQueue queue;
    const std::vector<std::int64_t> times = {kLatest, 0, kEarliest, -1, 1, kLatest - 1, kEarliest};
    for (std::uint32_t i = 0; i < times.size(); ++i) queue.push(at(times[i], i));
    EXPECT_EQ(drain(queue), (std::vector<std::uint32_t>{2, 6, 3, 1, 4, 5, 0}));
    queue.push(at(kLatest, 9));
    EXPECT_EQ(queue.pop().target, 9U);
}

// Events 0, 1 at time 5 and 2 at time 6: after pop() one more tie, then none, though 6 waits.
TEST(EventQueue, PopTieStaysAtTheTimestamp) {
    EventQueue queue;
    queue.push(at(5, 0));
    queue.push(at(6, 2));
    queue.push(at(5, 1));
    Event event = queue.pop();
    ASSERT_TRUE(queue.pop_tie(event));
    EXPECT_EQ(event.target, 1U);
    EXPECT_FALSE(queue.pop_tie(event));
    queue.push(at(5, 3));
    ASSERT_TRUE(queue.pop_tie(event));
    EXPECT_EQ(event.target, 3U);
    EXPECT_FALSE(queue.pop_tie(event));
    EXPECT_EQ(queue.pop().target, 2U);
}

// One event that puts itself back at the same time: the run's storage is reused, not extended.
TEST(EventQueue, EndlessTieKeepsItsStorage) {
    EventQueue queue;
    queue.push(at(3, 0));
    queue.push(at(3, 1));
    Event event = queue.pop();
    for (std::uint32_t i = 2; i < 1'000'000; ++i) {
        queue.push(at(3, i));
        ASSERT_TRUE(queue.pop_tie(event));
        ASSERT_EQ(event.target, i - 1);
    }
    EXPECT_LE(queue.run_capacity(), 64U);
}

}  // namespace
}  // namespace orrery
