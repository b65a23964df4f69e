#pragma once
// Replays stream programs on simulated ranks: in-order streams, waits, messages, rendezvous, and
// compute that slows down or speeds up as communication beside it starts and ends.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/run_result.hpp"
#include "core/time.hpp"
#include "replay/fold.hpp"
#include "replay/program.hpp"
#include "replay/trace.hpp"

namespace orrery {

// Time one rank spent, by class of action. Durations are wall time from the start of an action (its
// messages have arrived) to its end, communication that nothing hides included.
struct RankTimes {
    std::array<std::int64_t, kActionClasses> ps{};
    std::array<std::int64_t, kActionClasses>
        barrier_ps{};  // of it, waiting for peers in collectives
    std::array<std::int64_t, kActionClasses> count{};
    std::int64_t message_wait_ps = 0;  // compute stream idle until a message came
    std::int64_t end_ps = 0;           // when its last instruction ended
};

struct ReplayOptions {
    bool fold = true;
    bool reverse_ties = false;  // tests: the answer may not depend on the order of equal times
    // Called now and then with the simulated time; returning false stops with SimulationError.
    std::function<bool(SimTime)> poll;
    TraceRequest trace;
};

struct ReplayResult {
    std::int64_t makespan_ps = 0;
    std::vector<RankTimes> classes;
    Folding folding;
    std::int64_t events = 0;
    std::int64_t segments = 0;   // runs of operators completed on simulated ranks
    std::int64_t operators = 0;  // on all ranks represented
    std::string fingerprint;
    std::vector<RankTrace> traces;

    const RankTimes& of_rank(std::uint32_t rank) const { return classes[folding.class_of[rank]]; }
};

// Throws SimulationError: deadlock (naming rank, stream and what it waits for), time out of range.
ReplayResult replay(const ReplayInput& input, const ReplayOptions& options);

}  // namespace orrery
