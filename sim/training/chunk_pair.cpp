#include "training/chunk_pair.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace orrery {
namespace {

using Interval = std::pair<std::int64_t, std::int64_t>;

std::int64_t total(const std::vector<Interval>& intervals) {
    std::int64_t sum = 0;
    for (const auto& [start, end] : intervals) sum += end - start;
    return sum;
}

// Length of the parts of `a` that no interval of `b` covers; both sorted and without overlaps.
std::int64_t uncovered(const std::vector<Interval>& a, const std::vector<Interval>& b) {
    std::int64_t sum = total(a);
    for (const auto& [start, end] : a) {
        for (const auto& [s, e] : b)
            sum -= std::max<std::int64_t>(0, std::min(end, e) - std::max(start, s));
    }
    return sum;
}

// "layer 12 B mlp" -> "B mlp": the same phase of all layers adds up.
std::string phase_of(const std::string& label) {
    const std::size_t phase = label.rfind(' ');
    const std::size_t pass = label.rfind(' ', phase - 1);
    return label.substr(phase + 1) + " " + label.substr(pass + 1, phase - pass - 1);
}

}  // namespace

ChunkPair measure_chunk_pair(JobBuilder& job, std::size_t stage) {
    const ReplayInput input = job.chunk_pair(stage);
    ReplayOptions options;
    options.trace.ranks = {0};
    const ReplayResult result = replay(input, options);
    const RankTrace& trace = result.traces.front();
    const RankProgram& program = input.programs.front();

    std::map<std::pair<std::string, std::string>, PairShare> shares;
    std::vector<Interval> compute, communication;
    const auto add = [&](const Instruction& instruction, const std::string& operator_class,
                         std::int64_t ps) {
        const std::string phase = phase_of(input.labels[instruction.label]);
        PairShare& share = shares[{phase, operator_class}];
        share.phase = phase;
        share.operator_class = operator_class;
        share.time += to_seconds(SimDuration{ps});
        ++share.operators;
    };
    for (const TraceRecord& record : trace.records) {
        const Instruction& instruction = program.stream(record.stream)[record.instruction];
        const Interval interval{record.start_ps, record.end_ps};
        (record.stream == Stream::compute ? compute : communication).push_back(interval);
        if (instruction.kind == InstructionKind::collective) {
            add(instruction, input.collectives[instruction.index].name,
                record.end_ps - record.start_ps);
        }
    }
    for (const OperatorSpan& span : operator_spans(trace, input)) {
        const TraceRecord& record = trace.records[span.record];
        const Instruction& instruction = program.stream(record.stream)[record.instruction];
        const OperatorLabel& op = job.pieces().operators(instruction.index)[span.operation];
        add(instruction, std::string(to_string(op.operator_class)), span.end_ps - span.start_ps);
    }
    ChunkPair pair;
    pair.time = to_seconds(SimDuration{result.makespan_ps});
    pair.compute_busy = to_seconds(SimDuration{total(compute)});
    pair.communication_busy = to_seconds(SimDuration{total(communication)});
    pair.exposed_communication = to_seconds(SimDuration{uncovered(communication, compute)});
    for (auto& [key, share] : shares) pair.shares.push_back(std::move(share));
    return pair;
}

}  // namespace orrery
