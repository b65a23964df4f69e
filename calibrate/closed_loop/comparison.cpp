#include "calibrate/closed_loop/comparison.hpp"

#include <map>
#include <tuple>

#include <fmt/format.h>

#include "calibrate/closed_loop/binding.hpp"
#include "core/error.hpp"
#include "replay/replay.hpp"

namespace orrery::closed_loop {
namespace {

using StepKey = std::tuple<int, int, int>;  // stream, instruction, operation

std::int64_t launches(const Operator& op) {
    const auto* memory = std::get_if<MemoryOp>(&op.shape);
    return memory ? memory->launches : 1;
}

std::map<StepKey, const MeasuredOperator*> steps_of(const MeasuredLoop& measured,
                                                    const std::string& run) {
    std::map<StepKey, const MeasuredOperator*> steps;
    for (const MeasuredOperator& op : measured.operators) {
        if (op.run == run) steps[{op.stream, op.instruction, op.operation}] = &op;
    }
    return steps;
}

// One replayed run: when it ended, and what each operator took on its stream.
struct Replayed {
    double makespan_us = 0;
    std::map<StepKey, double> span_us;
};
Replayed replayed(const ReplayInput& input) {
    ReplayOptions options;
    options.trace.ranks = {0};
    const ReplayResult result = replay(input, options);
    const RankTrace& trace = result.traces.front();
    Replayed r{static_cast<double>(result.makespan_ps) * 1e-6, {}};
    for (const OperatorSpan& span : operator_spans(trace, input)) {
        const TraceRecord& record = trace.records[span.record];
        r.span_us[{static_cast<int>(record.stream), static_cast<int>(record.instruction),
                   static_cast<int>(span.operation)}] =
            static_cast<double>(span.end_ps - span.start_ps) * 1e-6;
    }
    for (const TraceRecord& record : trace.records) {
        const Instruction& i = input.programs[0].stream(record.stream)[record.instruction];
        if (i.kind != InstructionKind::collective) continue;
        r.span_us[{static_cast<int>(record.stream), static_cast<int>(record.instruction), 0}] =
            static_cast<double>(record.end_ps - record.start_ps) * 1e-6;
    }
    return r;
}

// The input with each operator's time alone replaced by the card's; what runs beside it keeps
// slowing it by the same factor. Helpers of another operator's call go into that call.
ReplayInput with_card_times(const LayerProgram& program, ReplayInput input,
                            const std::map<StepKey, const MeasuredOperator*>& steps,
                            const OperatorTimeModel& compute) {
    const auto gap = to_sim_duration(compute.profile().launch_gap.value).ps;
    SegmentTable segments(input.segments.environments());
    std::vector<const MeasuredOperator*> rows;
    std::vector<std::vector<OperatorDurations>> all(program.segments.size());
    for (const Stream s : {Stream::compute, Stream::communication}) {
        const auto& instructions = program.program.stream(s);
        for (std::size_t i = 0; i < instructions.size(); ++i) {
            if (instructions[i].kind != InstructionKind::run) continue;
            const SegmentId id = instructions[i].index;
            const auto& operators = program.segments[id];
            for (std::size_t k = 0; k < operators.size(); ++k) {
                const double alone_us = steps
                                            .at({s == Stream::compute ? 0 : 1, static_cast<int>(i),
                                                 static_cast<int>(k)})
                                            ->alone_us;
                const std::int64_t gaps = gap * launches(operators[k]);
                OperatorDurations d;
                for (int e = 0; e < segments.environments(); ++e) {
                    const auto price = [&](int environment) {
                        const std::int64_t* prefix = input.segments.prefix(id, environment);
                        return static_cast<double>(prefix[k + 1] - prefix[k] - gaps);
                    };
                    d.ps[static_cast<std::size_t>(e)] =
                        gaps + static_cast<std::int64_t>(alone_us * 1e6 * price(e) / price(0));
                }
                all[id].push_back(d);
            }
        }
    }
    for (const auto& durations : all) segments.add(durations);
    input.segments = std::move(segments);
    return input;
}

const Operator& operator_at(const LayerProgram& program, const MeasuredOperator& row) {
    const auto stream = row.stream == 0 ? Stream::compute : Stream::communication;
    const auto& instructions = program.program.stream(stream);
    const auto at = static_cast<std::size_t>(row.instruction);
    if (at < instructions.size()) {
        const Instruction& i = instructions[at];
        if (i.kind == InstructionKind::collective) return program.collectives[i.index];
        const auto& operators = program.segments[i.index];
        const auto k = static_cast<std::size_t>(row.operation);
        if (k < operators.size() && operators[k].name == row.name) return operators[k];
    }
    throw InputError(
        fmt::format("tables.operators: {} {} is not an operator of this layer", row.run, row.name));
}

void fill_operators(RunComparison& run, const LayerProgram& program,
                    const std::map<StepKey, const MeasuredOperator*>& steps,
                    const Replayed& prediction, bool sustained, double gap_us) {
    std::map<std::string, std::size_t> index;
    for (const auto& [key, row] : steps) {
        const Operator& op = operator_at(program, *row);
        const bool communication = class_of(op) == OperatorClass::communication;
        const std::string name(holder(row->name));
        const auto [it, added] = index.try_emplace(name, run.operators.size());
        if (added) run.operators.push_back({run.run, name, "", 0, 0, 0, 0});
        OperatorComparison& o = run.operators[it->second];
        if (name == row->name) {
            o.operator_class = row->operator_class;
            ++o.times;
        }
        const double gaps = communication ? 0 : gap_us * static_cast<double>(launches(op));
        const double measured = sustained ? row->sustained_us : row->burst_us;
        const double price = prediction.span_us.at(key) - gaps;
        o.measured_us += measured;
        o.predicted_us += price;
        o.alone_us += row->alone_us;
        if (row->stream == 0) {
            run.measured_kernels_us += measured;
            run.predicted_kernels_us += price;
        }
    }
}

RunComparison compare_run(const MeasuredLoop& measured, const LayerProgram& program,
                          const OperatorTimeModel& compute, const CommunicationCost& communication,
                          Clock clock) {
    const bool sustained = clock == Clock::sustained;
    RunComparison run;
    run.run = to_string(program.run);
    run.clock = sustained ? "sustained" : "burst";
    const MeasuredWall& wall = measured.wall(run.run, run.clock);
    run.measured_us = wall.wall_us;
    run.clock_mhz = wall.clock_mhz;
    run.power_w = wall.power_w;
    run.spread = wall.spread;
    const auto steps = steps_of(measured, run.run);
    const ReplayInput input = priced(program, compute, communication, clock);
    const Replayed prediction = replayed(input);
    run.predicted_us = prediction.makespan_us;
    if (prediction.span_us.size() != steps.size()) {
        throw InputError(fmt::format("tables.operators: {} has {} rows, the layer has {} operators",
                                     run.run, steps.size(), prediction.span_us.size()));
    }
    fill_operators(run, program, steps, prediction, sustained,
                   compute.profile().launch_gap.value.value() * 1e6);
    if (!sustained) {
        run.from_card_us = replayed(with_card_times(program, input, steps, compute)).makespan_us;
    }
    return run;
}

RunComparison sum_of(const std::vector<RunComparison>& parts, const MeasuredLoop& measured,
                     const std::string& clock) {
    RunComparison sum;
    sum.run = "F+B+W";
    sum.clock = clock;
    const MeasuredWall& wall = measured.wall(sum.run, clock);
    sum.measured_us = wall.wall_us;
    sum.clock_mhz = wall.clock_mhz;
    sum.power_w = wall.power_w;
    sum.spread = wall.spread;
    for (const RunComparison& part : parts) {
        sum.predicted_us += part.predicted_us;
        sum.from_card_us += part.from_card_us;
        sum.measured_kernels_us += part.measured_kernels_us;
        sum.predicted_kernels_us += part.predicted_kernels_us;
        sum.operators.insert(sum.operators.end(), part.operators.begin(), part.operators.end());
    }
    return sum;
}

}  // namespace

std::vector<RunComparison> compare(const MeasuredLoop& measured, const ModelSpec& model,
                                   const OperatorTimeModel& compute,
                                   const CommunicationCost& communication) {
    std::vector<RunComparison> runs;
    for (const Clock clock : {Clock::burst, Clock::sustained}) {
        std::vector<RunComparison> parts;
        for (const LoopRun r : kLoopRuns) {
            RunComparison run =
                compare_run(measured, layer_program(model, r), compute, communication, clock);
            if (r == LoopRun::pair) runs.push_back(sum_of(parts, measured, run.clock));
            runs.push_back(run);
            parts.push_back(std::move(run));
        }
    }
    return runs;
}

}  // namespace orrery::closed_loop
