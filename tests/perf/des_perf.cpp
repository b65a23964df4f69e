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

// 2,048 in-order streams of segments: each event ends a segment and schedules the next.
struct Streams {
    Simulator simulator;
    Delays delays = sixteen();
    std::uint64_t ends = 0;

    void handle(const Event& event) {
        const std::int64_t delay = delays[(event.generation() + event.target) % kDelays];
        simulator.schedule(SimTime{event.time_ps + delay}, 0, event.target, event.generation() + 1);
    }
    void end_of_timestamp() { ++ends; }
};
const Register kSimulator({.name = "simulator, 2,048 streams, 16 durations",
                           .unit = "events",
                           .subject = []() -> Repetition {
                               auto streams = std::make_shared<Streams>();
                               for (std::uint32_t i = 0; i < 2048; ++i) {
                                   streams->simulator.schedule(SimTime{i}, 0, i, i);
                               }
                               return [streams] {
                                   const SimTime now = streams->simulator.now();
                                   const RunCounts counts = streams->simulator.run(
                                       *streams, SimTime{now.ps + 100'000'000'000});
                                   return static_cast<double>(counts.events);
                               };
                           },
                           .aim = 20e6});

const Register kFingerprint({.name = "fingerprint",
                             .unit = "segments",
                             .subject = []() -> Repetition {
                                 return [] {
                                     constexpr std::uint32_t kSegments = 2'000'000;
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
