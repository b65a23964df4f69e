#include "replay/trace.hpp"

#include "replay/pace.hpp"

namespace orrery {
namespace {

// Wall time at which the segment passes prefix index i: in the stretch during which it got there.
std::int64_t time_of_boundary(const TraceRecord& record, const SegmentTable& segments,
                              SegmentId segment, std::uint32_t i) {
    const Pace pace(record.slowness);
    for (std::size_t s = 0; s < record.stretches.size(); ++s) {
        const TraceStretch& stretch = record.stretches[s];
        const std::int64_t boundary = segments.prefix(segment, stretch.environment)[i];
        if (boundary < stretch.position) continue;  // passed in an earlier stretch
        const std::int64_t at = stretch.start_ps + pace.wall(boundary - stretch.position);
        const bool last = s + 1 == record.stretches.size();
        if (last || at <= record.stretches[s + 1].start_ps) return at;
    }
    return record.end_ps;
}

}  // namespace

std::vector<OperatorSpan> operator_spans(const RankTrace& trace, const ReplayInput& input) {
    std::vector<OperatorSpan> spans;
    const RankProgram& program = input.programs[trace.program];
    for (std::uint32_t r = 0; r < trace.records.size(); ++r) {
        const TraceRecord& record = trace.records[r];
        const Instruction& instruction = program.stream(record.stream)[record.instruction];
        if (instruction.kind != InstructionKind::run) continue;
        const SegmentId segment = segment_of(instruction, input.ranks[trace.rank]);
        const std::uint32_t count = input.segments.operators(segment);
        std::int64_t start = record.start_ps;
        for (std::uint32_t i = 0; i < count; ++i) {
            const bool last = i + 1 == count;
            const std::int64_t end =
                last ? record.end_ps : time_of_boundary(record, input.segments, segment, i + 1);
            spans.push_back({r, i, start, end});
            start = end;
        }
    }
    return spans;
}

}  // namespace orrery
