// The fingerprint of a fixed replay: 4 pipeline ranks of 8 lanes, 40 rounds of compute beside
// collectives and sends, durations from the counter hash. It covers start and end of every segment,
// collective and send on every rank, so it changes whenever the replay's answer does.

#include <gtest/gtest.h>

#include "../unit/replay/builders.hpp"
#include "core/random.hpp"
#include "replay/replay.hpp"

namespace orrery {
namespace {

using namespace test;

std::int64_t draw(std::uint64_t component, std::uint64_t n, std::int64_t below) {
    return 1 + static_cast<std::int64_t>(counter_hash(2026, component, n) %
                                         static_cast<std::uint64_t>(below));
}

ReplayInput fixed_program() {
    ReplayInput input = make_input(4, 8);
    for (std::uint64_t i = 0; i < 12; ++i) {
        std::vector<OperatorDurations> ops;
        for (std::uint64_t k = 0; k < 1 + i % 5; ++k) {
            const std::int64_t alone = draw(i, k, 1'000'000);
            ops.push_back(op(alone, alone + alone / 50, alone + alone / 7));
        }
        input.segments.add(ops);
    }
    for (std::uint64_t i = 0; i < 4; ++i) {
        input.collectives.push_back({draw(100, i, 800'000), Group::expert, 1, 2, "dispatch"});
    }
    for (std::uint32_t round = 0; round < 40; ++round) {
        for (std::uint32_t p = 0; p < 4; ++p) {
            RankProgram& program = input.programs[p];
            auto& compute = program.stream(Stream::compute);
            auto& communication = program.stream(Stream::communication);
            const auto size = [](const auto& s) { return static_cast<std::uint32_t>(s.size()); };
            compute.push_back(run((round + p) % 12));
            communication.push_back(collective(round % 4, Stream::compute, size(compute)));
            compute.push_back(run((5 * round + p) % 12));
            compute.push_back(
                run((7 * round + p) % 12, Stream::communication, size(communication)));
            if (p == 3) continue;
            RankProgram& next = input.programs[p + 1];
            const auto message = static_cast<std::uint32_t>(input.messages.size());
            input.messages.push_back({draw(200 + p, round, 300'000), p + 1, next.slots});
            program.stream(Stream::send).push_back(send(message, size(compute)));
            next.stream(Stream::compute).push_back(receive(next.slots++));
        }
    }
    return input;
}

TEST(Golden, ReplayFingerprint) {
    ReplayInput input = fixed_program();
    const ReplayResult even = replay(input, {});
    EXPECT_EQ(even.fingerprint, "6511bade29456efb8e17152a22e0f29e");
    EXPECT_EQ(even.folding.classes.size(), 4U);
    input.ranks[5].slowness = 1.03125;
    const ReplayResult slow = replay(input, {});
    EXPECT_EQ(slow.fingerprint, "cb2e943ad4eee2a482d6c3c7ddde3f6b");
    EXPECT_GT(slow.makespan_ps, even.makespan_ps);
}

}  // namespace
}  // namespace orrery
