// Ranks that share links: folded runs are unfolded runs, ties have no order, and sharing delays.
#include <random>

#include <gtest/gtest.h>

#include "../unit/replay/builders.hpp"
#include "replay/replay.hpp"

namespace orrery {
namespace {

using namespace test;

constexpr std::int64_t kUs = 1'000'000;  // ps

// Rounds of compute, all-to-alls within a pipeline rank, and messages to the next one. Each rank
// has a NIC that all of them load; a few cables are common to several ranks. Some are degraded.
class RandomJob {
  public:
    explicit RandomJob(unsigned seed) : random_(seed) {}

    ReplayInput make() {
        pipeline_ranks_ = pick(2, 4);
        lanes_ = 2 * pick(1, 3);
        ReplayInput input = make_input(pipeline_ranks_, lanes_);
        for (int i = 0; i < 5; ++i) {
            const std::int64_t alone = pick(1, 50) * kUs;
            input.segments.add(std::vector{op(alone, alone, alone + pick(0, 20) * kUs)});
        }
        input.network = network();
        for (std::uint32_t p = 0; p < 2; ++p) {
            const auto us = static_cast<std::int64_t>(pick(5, 40));
            input.collectives.push_back({us * kUs,
                                         Group::expert,
                                         1,
                                         2,
                                         "expert",
                                         {.pattern = p,
                                          .weight = pick(1, 7),
                                          .bytes = static_cast<double>(us) * 1e3,
                                          .latency_ps = 0}});
        }
        for (std::uint32_t round = pick(2, 8); round > 0; --round) add_round(input);
        return input;
    }

  private:
    std::uint32_t pick(std::uint32_t low, std::uint32_t high) {
        return std::uniform_int_distribution<std::uint32_t>(low, high)(random_);
    }
    SharedNetwork network() {
        const std::uint32_t ranks = pipeline_ranks_ * lanes_, cables = ranks + 2;
        SharedNetwork network;
        network.capacity.assign(cables, 1e9);
        network.capacity[ranks] = network.capacity[ranks + 1] = 0.4e9 * lanes_;
        if (pick(0, 1) == 0) network.capacity[pick(0, ranks - 1)] = 0.5e9;
        network.group_patterns.assign(2, LinkPattern(pipeline_ranks_));
        network.message_patterns.assign(pipeline_ranks_, LinkPattern(ranks));
        for (std::uint32_t r = 0; r < ranks; ++r) {
            for (auto& pattern : network.group_patterns) {
                pattern.add(r / lanes_, r, 1.0);
                pattern.add(r / lanes_, ranks + r % 2, 0.125);
            }
            for (auto& pattern : network.message_patterns) {
                pattern.add(r, r, 1.0);
                pattern.add(r, ranks, 0.5);
                pattern.add(r, ranks + 1, 0.5);
            }
        }
        return network;
    }
    void add_round(ReplayInput& input) {
        std::vector<std::pair<std::uint32_t, std::uint32_t>> receives;  // next round: no deadlock
        for (std::uint32_t p = 0; p < pipeline_ranks_; ++p) {
            RankProgram& program = input.programs[p];
            auto& compute = program.stream(Stream::compute);
            auto& communication = program.stream(Stream::communication);
            const auto size = [](const auto& stream) {
                return static_cast<std::uint32_t>(stream.size());
            };
            compute.push_back(run(pick(0, 4)));
            if (pick(0, 2) > 0) {
                communication.push_back(collective(pick(0, 1), Stream::compute, size(compute)));
            }
            if (pick(0, 1) == 0) {
                compute.push_back(run(pick(0, 4), Stream::communication, size(communication)));
            }
            const std::uint32_t to = (p + 1) % pipeline_ranks_;
            if (pick(0, 1) == 0) {
                RankProgram& next = input.programs[to];
                const auto us = static_cast<std::int64_t>(pick(2, 30));
                input.messages.push_back({us * kUs,
                                          to,
                                          next.slots,
                                          {.pattern = to, .bytes = static_cast<double>(us) * 1e3}});
                program.stream(Stream::send)
                    .push_back(
                        send(static_cast<std::uint32_t>(input.messages.size() - 1), size(compute)));
                receives.emplace_back(to, next.slots++);
            }
        }
        for (const auto& [p, slot] : receives) {
            input.programs[p].stream(Stream::compute).push_back(receive(slot));
        }
    }
    std::mt19937 random_;
    std::uint32_t pipeline_ranks_ = 1, lanes_ = 1;
};

ReplayResult replayed(const ReplayInput& input, bool fold, bool reverse = false) {
    ReplayOptions options;
    options.fold = fold;
    options.reverse_ties = reverse;
    return replay(input, options);
}

TEST(SharedLinksProperty, FoldedIsUnfoldedAndTiesHaveNoOrder) {
    int folded_runs = 0;
    for (unsigned seed = 0; seed < 300; ++seed) {
        const ReplayInput input = RandomJob(seed).make();
        const ReplayResult folded = replayed(input, true), unfolded = replayed(input, false);
        ASSERT_EQ(folded.fingerprint, unfolded.fingerprint) << "seed " << seed;
        ASSERT_EQ(folded.makespan_ps, unfolded.makespan_ps) << "seed " << seed;
        ASSERT_EQ(folded.fingerprint, replayed(input, true, true).fingerprint) << "seed " << seed;
        ASSERT_EQ(folded.fingerprint, replayed(input, false, true).fingerprint) << "seed " << seed;
        folded_runs += folded.classes.size() < unfolded.classes.size();
    }
    EXPECT_GT(folded_runs, 200);  // a degraded link may leave no two ranks alike
}

// With links that are never full every transfer takes its own duration.
TEST(SharedLinksProperty, WideLinksAreLinksOfOnesOwn) {
    for (unsigned seed = 0; seed < 100; ++seed) {
        ReplayInput shared = RandomJob(seed).make();
        ReplayInput own = shared;
        own.network.reset();
        for (double& capacity : shared.network->capacity) capacity *= 1000;
        const auto wide = static_cast<double>(replayed(shared, true).makespan_ps);
        const auto alone = static_cast<double>(replayed(own, true).makespan_ps);
        ASSERT_NEAR(wide, alone, 1e-6 * alone) << "seed " << seed;
    }
}

}  // namespace
}  // namespace orrery
