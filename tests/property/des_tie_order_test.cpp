// Results may not depend on the order of events at one time: two small systems, each run with ties
// first in first out and last in first out. The first obeys the rule, the second breaks it and is
// found out.

#include <algorithm>

#include "core/random.hpp"
#include "des/fingerprint.hpp"
#include "des/simulator.hpp"

namespace orrery {
namespace {

constexpr std::uint32_t kStations = 40;

// Jobs walk at random between stations. A station serves one job at a time; who comes while it is
// busy waits. All times are multiples of 10 ps, so there are many ties.
class Stations {
  public:
    Stations(std::uint64_t seed, bool reverse, bool decide_at_end)
        : simulator_({.reverse_ties = reverse}), seed_(seed), decide_at_end_(decide_at_end) {
        for (std::uint32_t job = 0; job < 60; ++job) simulator_.schedule(SimTime{0}, 0, job);
    }
    // An event is the arrival of a job at its next station.
    void handle(const Event& event) {
        const std::uint32_t job = event.target;
        arrived_.push_back(job);
        if (!decide_at_end_) end_of_timestamp();
    }
    // Serves the arrivals of this instant in order of job number, which is not order of events.
    void end_of_timestamp() {
        std::sort(arrived_.begin(), arrived_.end());
        for (const std::uint32_t job : arrived_) serve(job);
        arrived_.clear();
    }
    std::string run() {
        const RunCounts counts = simulator_.run(*this);
        EXPECT_EQ(counts.stopped, StopReason::drained);
        return fingerprint_.hex();
    }

  private:
    void serve(std::uint32_t job) {
        const std::uint32_t step = steps_[job]++;
        if (step == 30) return;
        const std::uint64_t draw = counter_hash(seed_, job, step);
        std::int64_t& free_at = free_at_[draw % kStations];
        const std::int64_t start = std::max(simulator_.now().ps, free_at);
        free_at = start + 10 * static_cast<std::int64_t>(1 + (draw >> 32) % 5);
        fingerprint_.add(job, 0, step, start, free_at);
        simulator_.schedule(SimTime{free_at}, 0, job);
    }

    Simulator simulator_;
    std::uint64_t seed_;
    bool decide_at_end_;
    std::vector<std::uint32_t> arrived_;
    std::vector<std::uint32_t> steps_ = std::vector<std::uint32_t>(60, 0);
    std::vector<std::int64_t> free_at_ = std::vector<std::int64_t>(kStations, 0);
    Fingerprint fingerprint_;
};

TEST(DesTieOrder, DecisionsAtTheEndOfATimestampDoNotKnowIt) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        EXPECT_EQ(Stations(seed, false, true).run(), Stations(seed, true, true).run()) << seed;
    }
}

// The same system deciding at each arrival: first come, first served among ties. Reversal shows it.
TEST(DesTieOrder, DecisionsAtEachEventAreFoundOut) {
    int differing = 0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        if (Stations(seed, false, false).run() != Stations(seed, true, false).run()) ++differing;
    }
    EXPECT_EQ(differing, 50);
}

}  // namespace
}  // namespace orrery
