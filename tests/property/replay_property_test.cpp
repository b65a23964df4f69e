#include <random>

#include <gtest/gtest.h>

#include "../unit/replay/builders.hpp"
#include "replay/replay.hpp"
#include "replay_twin.hpp"

namespace orrery {
namespace {

using namespace test;

// Random programs that cannot deadlock: rounds in which every pipeline rank computes, the lanes of
// a rank may meet in a collective, all ranks may meet, and each pipeline rank may send to the next.
class RandomProgram {
  public:
    explicit RandomProgram(unsigned seed) : random_(seed) {}

    ReplayInput make() {
        const std::uint32_t pipeline_ranks = pick(1, 4);
        ReplayInput input = make_input(pipeline_ranks, pick(1, 4));
        for (int i = 0; i < 5; ++i) {
            std::vector<OperatorDurations> ops(pick(1, 4));
            for (auto& o : ops) {
                const std::int64_t alone = pick(1, 50);
                o = op(alone, alone + pick(0, 9), alone + pick(0, 60));
            }
            input.segments.add(ops);
        }
        for (std::uint8_t i = 0; i < 4; ++i) {
            input.collectives.push_back({static_cast<std::int64_t>(pick(1, 80)),
                                         i % 2 ? Group::expert : Group::none, 1, 2,
                                         i % 2 ? "expert" : "all"});
        }
        for (RankPlace& place : input.ranks) place.segment_variant = pick(0, 1);
        for (std::uint32_t round = pick(1, 8); round > 0; --round) add_round(input);
        return input;
    }

  private:
    std::uint32_t pick(std::uint32_t low, std::uint32_t high) {
        return std::uniform_int_distribution<std::uint32_t>(low, high)(random_);
    }
    static std::uint32_t size(RankProgram& p, Stream s) {
        return static_cast<std::uint32_t>(p.stream(s).size());
    }
    void add_round(ReplayInput& input) {
        const bool all_meet = pick(0, 3) == 0;
        std::vector<std::pair<std::uint32_t, std::uint32_t>> receives;  // next round: no deadlock
        for (std::uint32_t p = 0; p < input.programs.size(); ++p) {
            RankProgram& program = input.programs[p];
            auto& compute = program.stream(Stream::compute);
            auto& communication = program.stream(Stream::communication);
            compute.push_back(run(pick(0, 3)));
            compute.back().varies = pick(0, 1) == 0;
            if (all_meet) {
                communication.push_back(
                    collective(0, Stream::compute, size(program, Stream::compute)));
            }
            if (pick(0, 1) == 0) {
                if (pick(0, 1) == 0) communication.push_back(run(pick(0, 4)));
                communication.push_back(
                    collective(1 + 2 * pick(0, 1), Stream::compute,
                               pick(0, 1) ? size(program, Stream::compute) : 0));
            }
            const bool waits = pick(0, 2) == 0;
            compute.push_back(run(pick(0, 4), Stream::communication,
                                  waits ? size(program, Stream::communication) : 0));
            if (p + 1 < input.programs.size() && pick(0, 1) == 0) {
                RankProgram& next = input.programs[p + 1];
                const auto message = static_cast<std::uint32_t>(input.messages.size());
                input.messages.push_back({pick(0, 30), p + 1, next.slots});
                program.stream(Stream::send)
                    .push_back(send(message, size(program, Stream::compute)));
                receives.emplace_back(p + 1, next.slots++);
            }
        }
        for (const auto& [p, slot] : receives) {
            input.programs[p].stream(Stream::compute).push_back(receive(slot));
        }
    }
    std::mt19937 random_;
};

ReplayResult replayed(const ReplayInput& input, bool fold, bool reverse = false) {
    ReplayOptions options;
    options.fold = fold;
    options.reverse_ties = reverse;
    return replay(input, options);
}

TEST(ReplayProperty, EqualsItsSlowTwin) {
    for (unsigned seed = 0; seed < 400; ++seed) {
        const ReplayInput input = RandomProgram(seed).make();
        const ReplayResult fast = replayed(input, false);
        const std::vector<std::int64_t> slow = ReplayTwin(input).end_times();
        for (std::uint32_t r = 0; r < input.ranks.size(); ++r) {
            ASSERT_EQ(fast.of_rank(r).end_ps, slow[r]) << "seed " << seed << ", rank " << r;
        }
    }
}

TEST(ReplayProperty, FoldedEqualsUnfolded) {
    for (unsigned seed = 0; seed < 400; ++seed) {
        ReplayInput input = RandomProgram(seed).make();
        if (seed % 2) input.ranks[seed % input.ranks.size()].slowness = 1.25;
        const ReplayResult folded = replayed(input, true);
        const ReplayResult unfolded = replayed(input, false);
        ASSERT_EQ(folded.fingerprint, unfolded.fingerprint) << "seed " << seed;
        ASSERT_EQ(folded.operators, unfolded.operators) << "seed " << seed;
        for (std::uint32_t r = 0; r < input.ranks.size(); ++r) {
            ASSERT_EQ(folded.of_rank(r).end_ps, unfolded.of_rank(r).end_ps) << "seed " << seed;
        }
    }
}

TEST(ReplayProperty, OrderOfTiesDoesNotMatter) {
    for (unsigned seed = 0; seed < 400; ++seed) {
        const ReplayInput input = RandomProgram(seed).make();
        ASSERT_EQ(replayed(input, false).fingerprint, replayed(input, false, true).fingerprint)
            << "seed " << seed;
    }
}

TEST(ReplayProperty, IdenticalLanesFoldToOneClassAPipelineRank) {
    const ReplayInput input = RandomProgram(7).make();
    EXPECT_LE(replayed(input, true).folding.classes.size(), input.programs.size());
}

}  // namespace
}  // namespace orrery
