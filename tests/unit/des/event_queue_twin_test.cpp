// EventQueue against its slow twins on random cases: the same events in the same order.

#include <algorithm>
#include <functional>
#include <limits>

#include "core/random.hpp"
#include "des/event_queue.hpp"
#include "queue_twins.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kEarliest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kLatest = std::numeric_limits<std::int64_t>::max();

// Random numbers 0 <= draw(n) < n, a new one each call.
class Draws {
  public:
    explicit Draws(std::uint64_t seed) : seed_(seed) {}
    std::uint64_t bits() { return counter_hash(seed_, 0, draw_++); }
    std::int64_t below(std::uint64_t n) { return static_cast<std::int64_t>(bits() % n); }

  private:
    std::uint64_t seed_;
    std::uint64_t draw_ = 0;
};

using Delay = std::function<std::int64_t(Draws&)>;

// Delays with the habits of simulated hardware, and with those that hurt a radix heap.
struct Case {
    const char* name;
    Delay delay;
};
const std::vector<Case> kCases = {
    {"uniform", [](Draws& d) { return d.below(1U << 30); }},
    {"small", [](Draws& d) { return d.below(20); }},
    {"constant", [](Draws&) { return std::int64_t{1'000'000}; }},
    {"few values", [](Draws& d) { return d.below(8) * 1'000'000; }},
    {"zero or long", [](Draws& d) { return d.below(4) == 0 ? 0 : d.below(1ULL << 40); }},
    {"every scale", [](Draws& d) { return d.below(1ULL << d.below(50)); }},
    {"digit borders", [](Draws& d) { return (std::int64_t{1} << (4 * d.below(12))) - d.below(2); }},
    {"just after now", [](Draws& d) { return d.below(3) == 0 ? 1 + d.below(100) : 1'000'000; }},
};

std::int64_t later(std::int64_t time_ps, std::int64_t delay) {
    return time_ps > kLatest - delay ? kLatest : time_ps + delay;
}

// Pushes to all three queues, pops from all three, and compares.
class Triplets {
  public:
    void push(std::int64_t time_ps) {
        const Event event = Event::make(time_ps, number_ >> 24 & 0xff, number_, number_);
        ++number_;
        queue_.push(event);
        multimap_.push(event);
        heap_.push(event);
    }
    // Time of the popped event; sets `same` to false at a difference.
    std::int64_t pop(bool& same) {
        const std::int64_t top = queue_.top_time();
        same = queue_.due(top) && (top == kEarliest || !queue_.due(top - 1)) && same;
        const Event event = queue_.pop();
        same = event == multimap_.pop() && event == heap_.pop() && event.time_ps == top &&
               queue_.size() == multimap_.size() && queue_.size() == heap_.size() && same;
        return event.time_ps;
    }
    bool empty() const { return queue_.empty(); }
    std::size_t size() const { return queue_.size(); }

  private:
    EventQueue queue_;
    MultimapQueue multimap_;
    FourAryHeapQueue heap_;
    std::uint32_t number_ = 0;
};

// Every popped event is replaced by one later: the number of pending events stays.
TEST(EventQueueTwin, HoldModel) {
    for (const Case& c : kCases) {
        for (const std::size_t pending : {1U, 2U, 17U, 300U, 2048U}) {
            Draws draws(pending);
            Triplets queues;
            bool same = true;
            for (std::size_t i = 0; i < pending; ++i) queues.push(c.delay(draws));
            for (int i = 0; i < 10'000 && same; ++i) {
                queues.push(later(queues.pop(same), c.delay(draws)));
            }
            while (!queues.empty() && same) queues.pop(same);
            EXPECT_TRUE(same) << c.name << ", " << pending << " pending";
        }
    }
}

// The queue grows and shrinks in bursts of up to 200, many of them ties of one time.
TEST(EventQueueTwin, BurstsOfTies) {
    for (const Case& c : kCases) {
        Draws draws(7);
        Triplets queues;
        bool same = true;
        std::int64_t now = 0;
        for (int burst = 0; burst < 300 && same; ++burst) {
            const std::int64_t time = later(now, c.delay(draws));
            for (std::int64_t n = draws.below(200); n > 0; --n) {
                queues.push(draws.below(3) == 0 ? later(now, c.delay(draws)) : time);
            }
            for (std::int64_t n = draws.below(200); n > 0 && !queues.empty(); --n) {
                now = queues.pop(same);
            }
        }
        while (!queues.empty() && same) queues.pop(same);
        EXPECT_TRUE(same) << c.name;
    }
}

// Times all over the 64 bits, extremes included; each pop is followed by pushes at or after it.
TEST(EventQueueTwin, WholeRange) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Draws draws(seed);
        Triplets queues;
        bool same = true;
        std::int64_t now = kEarliest;
        for (int i = 0; i < 500 && same; ++i) {
            const std::uint64_t room =
                static_cast<std::uint64_t>(kLatest) - static_cast<std::uint64_t>(now);
            const unsigned shift = static_cast<unsigned>(draws.below(65));
            const std::uint64_t step = shift == 64 ? room : std::min(room, draws.bits() >> shift);
            queues.push(static_cast<std::int64_t>(static_cast<std::uint64_t>(now) + step));
            if (queues.size() > 40 || draws.below(4) == 0) now = queues.pop(same);
        }
        while (!queues.empty() && same) queues.pop(same);
        EXPECT_TRUE(same) << "seed " << seed;
    }
}

// A full front run takes pushes before its last event until it spills back into buckets: 16 events
// in one digit's interval, the first popped, then 200 more pushed into the middle.
TEST(EventQueueTwin, LongFrontRun) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Draws draws(seed);
        Triplets queues;
        bool same = true;
        const std::int64_t start = std::int64_t{1} << 20;
        for (std::int64_t i = 0; i < 16; ++i) queues.push(start + i * 60'000);
        std::int64_t now = queues.pop(same);
        for (int i = 0; i < 200 && same; ++i) {
            queues.push(now + draws.below(900'000) / 1000 * 1000);
            if (draws.below(10) == 0) now = queues.pop(same);
        }
        while (!queues.empty() && same) queues.pop(same);
        EXPECT_TRUE(same) << "seed " << seed;
    }
}

}  // namespace
}  // namespace orrery
