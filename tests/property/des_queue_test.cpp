// Laws of the event queue on random schedules: every event leaves once, times never fall, ties keep
// their order of arrival, and two queues in one process do not know of each other.

#include "core/random.hpp"
#include "des/event_queue.hpp"

namespace orrery {
namespace {

// Delay number n of a schedule: on a random scale up to 2^40 ps, or zero.
std::int64_t delay(std::uint64_t seed, std::uint64_t n) {
    const std::uint64_t bits = counter_hash(seed, 1, n);
    return static_cast<std::int64_t>(bits >> 20 & ((std::uint64_t{1} << bits % 41) - 1));
}

// Pushes `total` events, numbered in order of pushing, popping now and then, and checks the laws.
void check_schedule(std::uint64_t seed, std::uint32_t total, std::uint64_t pop_one_in) {
    EventQueue queue;
    std::vector<int> popped(total, 0);
    std::int64_t now = 0;
    std::int64_t last_tie = -1;  // number of the event popped before at this time
    const auto pop = [&] {
        const Event event = queue.pop();
        ++popped[event.target];
        ASSERT_GE(event.time_ps, now);
        if (event.time_ps > now) last_tie = -1;
        ASSERT_GT(event.target, last_tie);
        now = event.time_ps;
        last_tie = event.target;
    };
    for (std::uint32_t i = 0; i < total; ++i) {
        queue.push(Event::make(now + delay(seed, i), 0, i));
        if (counter_hash(seed, 2, i) % pop_one_in == 0) pop();
    }
    while (!queue.empty()) pop();
    EXPECT_EQ(popped, std::vector<int>(total, 1)) << "seed " << seed;
}

TEST(DesQueue, EveryEventLeavesOnceInOrder) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) check_schedule(seed, 2000, 1 + seed % 7);
}

// The same schedule in two queues, advanced alternately, gives the same events.
TEST(DesQueue, QueuesAreIndependent) {
    EventQueue a;
    EventQueue b;
    for (std::uint32_t i = 0; i < 1000; ++i) {
        a.push(Event::make(delay(3, i), 0, i));
        b.push(Event::make(delay(3, i), 0, i));
    }
    for (std::uint32_t i = 0; i < 500; ++i) a.pop();
    EventQueue copy = a;
    for (std::uint32_t i = 0; i < 500; ++i) b.pop();
    while (!a.empty()) {
        const Event event = a.pop();
        ASSERT_EQ(event, b.pop());
        ASSERT_EQ(event, copy.pop());
    }
    EXPECT_TRUE(b.empty());
    EXPECT_TRUE(copy.empty());
}

}  // namespace
}  // namespace orrery
