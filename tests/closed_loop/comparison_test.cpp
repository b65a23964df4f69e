#include "calibrate/closed_loop/comparison.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "model/read_config.hpp"
#include "replay/replay.hpp"

namespace orrery::closed_loop {
namespace {

struct Setting {
    ModelSpec model = load_model("scenarios/models/deepseek_v3.json");
    OperatorTimeModel compute{load_accelerator("h100_sxm5", "hw_profiles")};
    CommunicationCost communication{load_cluster("h800_ib_2048", "hw_profiles")};
};

void add_row(MeasuredLoop& loop, const LayerProgram& program, Stream s, std::uint32_t instruction,
             std::uint32_t operation, const Operator& op, double us) {
    loop.operators.push_back({to_string(program.run), s == Stream::compute ? 0 : 1,
                              static_cast<int>(instruction), static_cast<int>(operation), op.name,
                              std::string(to_string(class_of(op))), 1, us, us, us, us, us});
}

// A card on which every kernel takes `factor` times its burst price, in the program as alone.
MeasuredLoop card(const Setting& s, double factor) {
    MeasuredLoop loop;
    const double gap = s.compute.profile().launch_gap.value.value() * 1e6;
    double sum[2] = {0, 0};
    for (const LoopRun run : kLoopRuns) {
        const LayerProgram program = layer_program(s.model, run);
        for (const Clock clock : {Clock::burst, Clock::sustained}) {
            const ReplayInput input = priced(program, s.compute, s.communication, clock);
            const double wall = static_cast<double>(replay(input, {}).makespan_ps) * 1e-6 * factor;
            const char* name = clock == Clock::burst ? "burst" : "sustained";
            loop.walls.push_back({to_string(run), name, wall, 0, 0, 0});
            if (run != LoopRun::pair) sum[clock == Clock::burst ? 0 : 1] += wall;
            if (clock == Clock::sustained) continue;
            for (const Stream stream : {Stream::compute, Stream::communication}) {
                const auto& instructions = program.program.stream(stream);
                for (std::uint32_t i = 0; i < instructions.size(); ++i) {
                    const std::uint32_t at = instructions[i].index;
                    if (instructions[i].kind == InstructionKind::collective) {
                        add_row(loop, program, stream, i, 0, program.collectives[at], 1);
                        continue;
                    }
                    const std::int64_t* prefix = input.segments.prefix(at, 0);
                    for (std::uint32_t k = 0; k < program.segments[at].size(); ++k) {
                        const Operator& op = program.segments[at][k];
                        const auto* m = std::get_if<MemoryOp>(&op.shape);
                        const double gaps = gap * static_cast<double>(m ? m->launches : 1);
                        const double us = static_cast<double>(prefix[k + 1] - prefix[k]) * 1e-6;
                        add_row(loop, program, stream, i, k, op, (us - gaps) * factor);
                    }
                }
            }
        }
    }
    loop.walls.push_back({"F+B+W", "burst", sum[0], 0, 0, 0});
    loop.walls.push_back({"F+B+W", "sustained", sum[1], 0, 0, 0});
    return loop;
}

const RunComparison& find(const std::vector<RunComparison>& runs, const std::string& run,
                          const std::string& clock) {
    for (const RunComparison& r : runs) {
        if (r.run == run && r.clock == clock) return r;
    }
    throw InputError("no such run");
}

// A card that is exactly as priced: no error in any run, by either way of predicting.
TEST(Comparison, FindsNoErrorWhereTheCardIsAsPriced) {
    const Setting s;
    const auto runs = compare(card(s, 1), s.model, s.compute, s.communication);
    ASSERT_EQ(runs.size(), 10U);
    for (const RunComparison& r : runs) {
        EXPECT_NEAR(r.error(), 0, 1e-9) << r.run << " " << r.clock;
        if (r.clock != "burst") continue;
        EXPECT_NEAR(r.from_card_error(), 0, 1e-6) << r.run;
        EXPECT_NEAR(r.measured_kernels_us, r.predicted_kernels_us,
                    r.run == "F&B" ? 0.05 * r.measured_us : 1e-3)
            << r.run;
    }
}

// A card on which all takes 1.25 times as long, idle time too: predicted 0.8 of measured, -20 %.
// From the card's own kernel times only the gaps are too short: 225 launches of 1.54 us are 1.4 %
// of the priced wall, so 0.2 of that of the measured one.
TEST(Comparison, TellsPricesFromComposition) {
    const Setting s;
    const auto runs = compare(card(s, 1.25), s.model, s.compute, s.communication);
    EXPECT_NEAR(find(runs, "F+B+W", "burst").error(), -0.2, 1e-9);
    const double composition = find(runs, "F+B+W", "burst").from_card_error();
    EXPECT_NEAR(composition, -0.0028, 0.0003);
}

TEST(Comparison, RefusesAnotherLayersFile) {
    const Setting s;
    MeasuredLoop loop = card(s, 1);
    loop.operators[3].name = "unheard_of";
    EXPECT_THROW(compare(loop, s.model, s.compute, s.communication), InputError);
    loop = card(s, 1);
    loop.operators.pop_back();
    EXPECT_THROW(compare(loop, s.model, s.compute, s.communication), InputError);
    loop = card(s, 1);
    loop.walls.clear();
    EXPECT_THROW(compare(loop, s.model, s.compute, s.communication), InputError);
}

}  // namespace
}  // namespace orrery::closed_loop
