// Rates of the event core. The hold model pops the earliest event and pushes it back after a delay,
// with a constant number pending; an operation is one pop and one push.

#include <cmath>
#include <memory>
#include <vector>

#include "../unit/des/queue_twins.hpp"
#include "core/random.hpp"
#include "des/event_queue.hpp"
#include "des/fingerprint.hpp"
#include "des/simulator.hpp"
#include "perf.hpp"

namespace orrery::perf {
namespace {

constexpr int kOperations = 400'000;   // of a repetition
constexpr std::size_t kDelays = 4096;  // 32 KiB: stays in the nearest caches

using Delays = std::vector<std::int64_t>;

template <class DelayOf>
Delays make_delays(DelayOf delay_of) {
    Delays delays(kDelays);
    for (std::size_t i = 0; i < kDelays; ++i) delays[i] = delay_of(counter_uniform(1, 2, i));
    return delays;
}
// Uniform up to 1.07 ms; exponential with mean 1 ms; 16 kernel durations; one duration.
Delays uniform() {
    return make_delays([](double u) { return static_cast<std::int64_t>(u * 0x1p30); });
}
Delays exponential() {
    return make_delays([](double u) { return static_cast<std::int64_t>(-std::log1p(-u) * 1e9); });
}
Delays sixteen() {
    return make_delays(
        [](double u) { return (1 + static_cast<std::int64_t>(u * 16)) * 50'000'000; });
}
Delays one() {
    return make_delays([](double) { return std::int64_t{1'000'000'000}; });
}

template <class Queue>
Prepare hold(Delays (*delays_of)(), std::uint32_t pending) {
    return [delays_of, pending]() -> Repetition {
        auto queue = std::make_shared<Queue>();
        auto delays = std::make_shared<Delays>(delays_of());
        for (std::uint32_t i = 0; i < pending; ++i) {
            queue->push(Event::make((*delays)[i % kDelays], 0, i));
        }
        return [queue, delays] {
            const std::int64_t* const delay = delays->data();
            for (std::uint32_t i = 0; i < kOperations; ++i) {
                Event event = queue->pop();
                event.time_ps += delay[(7 * i + event.target) % kDelays];
                queue->push(event);
            }
            return kOperations;
        };
    };
}

Benchmark hold_model(std::string name, Delays (*delays_of)(), std::uint32_t pending) {
    return {.name = "event queue, hold model, " + name,
            .unit = "events",
            .subject = hold<EventQueue>(delays_of, pending),
            .twin = hold<MultimapQueue>(delays_of, pending),
            .twin_name = "multimap"};
}
Benchmark with_aim(Benchmark benchmark, double aim, double aim_ratio) {
    benchmark.aim = aim;
    benchmark.aim_ratio = aim_ratio;
    return benchmark;
}

const Register kUniform(with_aim(hold_model("2,048 pending, uniform", uniform, 2048), 20e6, 5));
const Register kExponential(with_aim(hold_model("2,048 pending, exponential", exponential, 2048),
                                     20e6, 5));
const Register kSixteen(with_aim(hold_model("2,048 pending, 16 durations", sixteen, 2048), 20e6,
                                 5));
const Register kOne(with_aim(hold_model("2,048 pending, one duration", one, 2048), 20e6, 5));
const Register kSmall(hold_model("32 pending, uniform", uniform, 32));
const Register kLarge(hold_model("65,536 pending, uniform", uniform, 65'536));

const Register kHeap({.name = "event queue, hold model, 2,048 pending, uniform, against a heap",
                      .unit = "events",
                      .subject = hold<EventQueue>(uniform, 2048),
                      .twin = hold<FourAryHeapQueue>(uniform, 2048),
                      .twin_name = "4-ary heap"});

// The smallest loop that does what Simulator does, on the multimap.
class MultimapLoop {
  public:
    SimTime now() const { return now_; }
    void schedule(SimTime at, int kind, std::uint32_t target, std::uint32_t generation) {
        queue_.push(Event::make(at.ps, static_cast<std::uint8_t>(kind), target, generation));
    }
    template <class System>
    RunCounts run(System& system, SimTime until) {
        RunCounts counts;
        while (!queue_.empty() && queue_.top_time() <= until.ps) {
            now_ = SimTime{queue_.top_time()};
            for (; !queue_.empty() && queue_.top_time() == now_.ps; ++counts.events) {
                system.handle(queue_.pop());
            }
            system.end_of_timestamp();
        }
        return counts;
    }

  private:
    MultimapQueue queue_;
    SimTime now_;
};

// 2,048 in-order streams of segments: each event ends a segment and schedules the end of the next.
template <class Loop>
struct Streams {
    Loop loop = {};
    Delays delays = sixteen();
    std::uint64_t ends = 0;

    void handle(const Event& event) {
        const std::int64_t delay = delays[(event.generation() + event.target) % kDelays];
        loop.schedule(SimTime{event.time_ps + delay}, 0, event.target, event.generation() + 1);
    }
    void end_of_timestamp() { ++ends; }
};

// Stream i starts at i * phase_ps: 0 lets streams meet often, 1 keeps every time apart.
template <class Loop>
Prepare stream_loop(std::int64_t phase_ps) {
    return [phase_ps]() -> Repetition {
        auto streams = std::make_shared<Streams<Loop>>();
        for (std::uint32_t i = 0; i < 2048; ++i) {
            streams->loop.schedule(SimTime{i * phase_ps}, 0, i, i);
        }
        return [streams] {
            const SimTime until{streams->loop.now().ps + 10'000'000'000};
            return static_cast<double>(streams->loop.run(*streams, until).events);
        };
    };
}
Benchmark simulator_loop(std::string name, std::int64_t phase_ps) {
    return {.name = "simulator, 2,048 streams, " + name,
            .unit = "events",
            .subject = stream_loop<Simulator>(phase_ps),
            .twin = stream_loop<MultimapLoop>(phase_ps),
            .twin_name = "multimap"};
}
const Register kTies(with_aim(simulator_loop("16 durations, in phase", 0), 20e6, 5));
const Register kNoTies(simulator_loop("16 durations, no ties", 1));

const Register kFingerprint({.name = "fingerprint",
                             .unit = "segments",
                             .subject = []() -> Repetition {
                                 return [] {
                                     constexpr std::uint32_t kSegments = 200'000;
                                     Fingerprint sum;
                                     const RankWeight rank(17);
                                     for (std::uint32_t i = 0; i < kSegments; ++i) {
                                         sum.add(rank, i & 1, i, 50 * i, 50 * i + 49);
                                     }
                                     keep(sum);
                                     return kSegments;
                                 };
                             },
                             .aim = 50e6});

}  // namespace
}  // namespace orrery::perf
