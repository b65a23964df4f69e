#include "training/timeline.hpp"

#include <fmt/format.h>

namespace orrery {
namespace {

constexpr std::uint32_t kActionsShown = 4;  // at either end of a rank's schedule
constexpr const char* kStreamNames[] = {"compute", "communication", "pipeline send"};

// True for records of the first and last actions of the schedule and of the optimizer.
bool shown(const TraceRecord& record, const RankProgram& program, bool all) {
    const auto actions = static_cast<std::uint32_t>(program.actions.size());
    return all || record.action < kActionsShown || record.action + 1 + kActionsShown >= actions;
}

// "layer 3 F attention" -> "layer 3 F12 attention".
std::string with_micro_batch(const std::string& label, const ActionInfo& action) {
    const std::size_t phase = label.rfind(' ');
    if (phase == std::string::npos || phase < 2 || label[phase - 2] != ' ') return label;
    const char pass = label[phase - 1];
    if (pass != 'F' && pass != 'B' && pass != 'W') return label;
    const std::int32_t micro_batch =
        pass == 'F' ? action.forward_micro_batch : action.backward_micro_batch;
    return fmt::format("{}{}{}", label.substr(0, phase), micro_batch, label.substr(phase));
}

}  // namespace

Timeline make_timeline(const std::vector<RankTrace>& traces, const ReplayInput& input,
                       const PieceFactory& pieces, bool all) {
    Timeline timeline;
    for (const RankTrace& trace : traces) {
        const RankProgram& program = input.programs[trace.program];
        const auto rank = static_cast<std::int32_t>(trace.rank);
        for (std::int32_t s = 0; s < kStreams; ++s) {
            timeline.tracks.push_back({rank, s, kStreamNames[s]});
        }
        const auto add = [&](const TraceRecord& record, const std::string& name,
                             std::string_view category, std::int64_t start, std::int64_t end) {
            // A send starts when its pass is over: its own name says whose it is.
            const bool send = record.stream == Stream::send;
            timeline.spans.push_back({rank, static_cast<std::int32_t>(record.stream), start,
                                      end - start, name, std::string(category),
                                      send ? name : program.actions[record.action].name});
        };
        for (const TraceRecord& record : trace.records) {
            if (!shown(record, program, all)) continue;
            const Instruction& instruction = program.stream(record.stream)[record.instruction];
            if (instruction.kind == InstructionKind::run) continue;
            const std::string label =
                with_micro_batch(input.labels[instruction.label], program.actions[record.action]);
            if (instruction.kind == InstructionKind::send) {
                add(record, label, "send", record.start_ps, record.end_ps);
                continue;
            }
            if (record.moving_ps > record.start_ps) {
                add(record, label + ": wait for peers", "wait", record.start_ps, record.moving_ps);
            }
            const char* collective =
                input.collectives[collective_of(instruction, input.ranks[trace.rank])].name;
            add(record, fmt::format("{}: {}", label, collective), "communication", record.moving_ps,
                record.end_ps);
        }
        for (const OperatorSpan& span : operator_spans(trace, input)) {
            const TraceRecord& record = trace.records[span.record];
            if (!shown(record, program, all)) continue;
            const Instruction& instruction = program.stream(record.stream)[record.instruction];
            const SegmentId segment = segment_of(instruction, input.ranks[trace.rank]);
            const OperatorLabel& op = pieces.operators(segment)[span.operation];
            const std::string label =
                with_micro_batch(input.labels[instruction.label], program.actions[record.action]);
            add(record, fmt::format("{}: {}", label, op.name), to_string(op.operator_class),
                span.start_ps, span.end_ps);
        }
    }
    return timeline;
}

}  // namespace orrery
