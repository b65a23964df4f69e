#pragma once
// Small replay inputs for tests, written instruction by instruction.

#include <cstdint>
#include <vector>

#include "replay/replay.hpp"

namespace orrery::test {

// Durations of one operator: alone, beside a waiting communication, beside a moving one.
inline OperatorDurations op(std::int64_t alone, std::int64_t waiting, std::int64_t moving) {
    OperatorDurations d;
    d.ps[0] = alone;
    d.ps[1] = waiting;
    d.ps[2] = moving;
    return d;
}
inline OperatorDurations op(std::int64_t alone) { return op(alone, alone, alone); }

inline Instruction run(SegmentId s, Stream wait = Stream::compute, std::uint32_t count = 0) {
    return {InstructionKind::run, wait, count, s, 0};
}
inline Instruction collective(std::uint32_t c, Stream wait = Stream::compute,
                              std::uint32_t count = 0) {
    return {InstructionKind::collective, wait, count, c, 0};
}
inline Instruction send(std::uint32_t m, std::uint32_t count) {
    return {InstructionKind::send, Stream::compute, count, m, 0};
}
inline Instruction receive(std::uint32_t slot) {
    return {InstructionKind::receive, Stream::compute, 0, slot, 0};
}

// `pipeline_ranks` programs on `lanes` lanes each; every lane of a pipeline rank is in one group of
// kind expert, all ranks in the group of kind none.
inline ReplayInput make_input(std::uint32_t pipeline_ranks, std::uint32_t lanes) {
    ReplayInput input;
    input.segments = SegmentTable(3);
    input.programs.resize(pipeline_ranks);
    for (RankProgram& p : input.programs) p.actions.push_back({ActionClass::forward, "a", 0, 0});
    input.lanes = lanes;
    input.labels = {"test"};
    input.group_count.fill(1);
    input.group_count[static_cast<std::size_t>(Group::expert)] = pipeline_ranks;
    for (std::uint32_t r = 0; r < pipeline_ranks * lanes; ++r) {
        RankPlace place;
        place.program = r / lanes;
        place.group[static_cast<std::size_t>(Group::expert)] = r / lanes;
        input.ranks.push_back(place);
    }
    return input;
}

}  // namespace orrery::test
