#pragma once
// Benchmarks that state their rate and their aim. A file registers its benchmarks with a namespace
// scope variable, and orrery_perf runs them all:
//
//   const Register hold({.name = "queue, hold model, 2,048 pending",
//                        .unit = "events",
//                        .subject = prepare<EventQueue>,
//                        .twin = prepare<MultimapQueue>,
//                        .twin_name = "multimap",
//                        .aim = 20e6,
//                        .aim_ratio = 5});
//
// Subject and twin run in turn, several times over; the best repetition of each counts, so that the
// ratio is of two figures taken side by side on the same machine. A missed aim is printed, and is
// no failure: another program may have had the core.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace orrery::perf {

// What the figure of a benchmark is.
enum class Figure : std::uint8_t {
    rate,    // work done / seconds; more is better
    time,    // seconds of a repetition; less is better
    amount,  // what the repetition returns, in `unit` (memory, say); less is better
};

// Does a share of the work, a few ms or more, and returns how much was done, in `unit`.
using Repetition = std::function<double()>;
// Builds what the repetitions work on; its time is not counted.
using Prepare = std::function<Repetition()>;

struct Benchmark {
    std::string name = {};
    std::string unit = {};  // of the work: "events", "operators"; of an amount: "B"
    Prepare subject = {};
    Prepare twin = {};  // does the same more slowly; empty where there is none
    std::string twin_name = {};
    std::optional<double> aim = {};  // on a quiet core: at least (rate), at most (time, amount)
    std::optional<double> aim_ratio = {};  // times better than the twin, at least
    Figure figure = Figure::rate;
    int repetitions = 15;  // of subject and of twin; fewer for work that takes seconds
};

// Adds a benchmark to those that orrery_perf runs, in order of file name and then of appearance.
struct Register {
    explicit Register(Benchmark benchmark);
};

// Makes the compiler believe that `value` is used.
template <class T>
inline void keep(const T& value) {
    asm volatile("" : : "r,m"(value) : "memory");
}

}  // namespace orrery::perf
