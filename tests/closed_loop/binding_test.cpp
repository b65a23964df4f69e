#include "calibrate/closed_loop/binding.hpp"

#include <set>

#include <gtest/gtest.h>

#include "calibrate/closed_loop/layer_program.hpp"
#include "core/error.hpp"
#include "model/read_config.hpp"
#include "replay/replay.hpp"

namespace orrery::closed_loop {
namespace {

ModelSpec deepseek_v3() { return load_model("scenarios/models/deepseek_v3.json"); }

template <class F>
void for_each_operator(F&& f) {
    for (const LoopRun run : kLoopRuns) {
        const LayerProgram program = layer_program(deepseek_v3(), run);
        for (const auto& segment : program.segments) {
            for (const Operator& op : segment) f(op);
        }
    }
}

// The task of the loop: 4,096 tokens into attention, 32,768 rows over 4 local experts.
TEST(LayerProgram, IsTheLayerThatTheLoopIsAbout) {
    bool attention = false, experts = false, shared = false;
    for_each_operator([&](const Operator& op) {
        if (const auto* a = std::get_if<Attention>(&op.shape)) {
            attention = true;
            EXPECT_EQ(a->query_length, 4096);
        }
        if (const auto* g = std::get_if<GroupedGemm>(&op.shape)) {
            experts = true;
            EXPECT_EQ(g->rows, 32768);
            EXPECT_EQ(g->groups, 4);
        }
        shared = shared || std::string_view(op.name) == "shared_down_proj";
    });
    EXPECT_TRUE(attention && experts && shared);
}

TEST(Binding, KnowsEveryOperatorOfTheLayer) {
    std::set<OperatorClass> classes;
    for_each_operator([&](const Operator& op) {
        EXPECT_NO_THROW(wiring(op.name)) << op.name;
        classes.insert(class_of(op));
    });
    EXPECT_EQ(classes, (std::set{OperatorClass::gemm, OperatorClass::grouped_gemm,
                                 OperatorClass::attention, OperatorClass::memory}));
    EXPECT_THROW(wiring("q_a_proj.unheard_of"), InputError);
    EXPECT_THROW(wiring("unheard_of"), InputError);
}

// A GEMM reads two operands and writes a third; nothing else reads what it does not name.
TEST(Binding, GemmsHaveThreeBuffers) {
    for_each_operator([](const Operator& op) {
        if (class_of(op) != OperatorClass::gemm && class_of(op) != OperatorClass::grouped_gemm) {
            return;
        }
        const Wiring w = wiring(op.name);
        EXPECT_FALSE(w.in.empty() || w.in2.empty() || w.out.empty()) << op.name;
        EXPECT_NE(w.in, w.in2) << op.name;
        EXPECT_NE(w.in, w.out) << op.name;
    });
}

// A GEMM finds the cast of its activation, cuBLASLt's operand, where the cast has put it.
TEST(Binding, CastsFeedTheirGemms) {
    EXPECT_EQ(wiring("q_b_proj.cast").in, wiring("q_a_norm").out);
    EXPECT_EQ(wiring("q_b_proj.cast").out, wiring("q_b_proj").in);
    EXPECT_EQ(wiring("dispatch.cast").out, wiring("shared_gate_up_proj").in);
    EXPECT_EQ(wiring("permute").out, wiring("experts_gate_up_proj").in);
    EXPECT_EQ(wiring("experts_swiglu").out, wiring("experts_down_proj").in);
    EXPECT_EQ(wiring("o_proj.gradient_cast_transpose").out, wiring("o_proj.wgrad").in);
}

// The kernels of a memory-bound operator move its bytes: within 3 %, or within the rows that a
// kernel's tile of 128 rounds to.
TEST(Binding, KernelsMoveTheOperatorsBytes) {
    for_each_operator([](const Operator& op) {
        const auto* memory = std::get_if<MemoryOp>(&op.shape);
        if (memory == nullptr || std::string_view(op.name) != holder(op.name)) return;
        const auto cases = kernel_cases(*memory);
        ASSERT_FALSE(cases.empty()) << op.name;
        EXPECT_EQ(static_cast<std::int64_t>(cases.size()), memory->launches) << op.name;
        double moved = 0, tile = 0;
        for (const calibrate::MemoryCase& c : cases) {
            moved += calibrate::memory_bytes(c);
            tile += calibrate::memory_bytes({c.kind, 128, c.columns}) / 2;
        }
        const double bytes = (memory->read + memory->written).value();
        EXPECT_NEAR(moved, bytes, std::max(0.03 * bytes, tile)) << op.name;
    });
}

// Its own shape where that is what calibration measures: 4,096 x 7,168 casts move 89 MB.
TEST(Binding, KeepsShapesThatCalibrationMeasures) {
    const MemoryOp cast{MemoryOpKind::cast_fp8, 4096, 7168, Bytes(4096 * 7168 * 2.0),
                        Bytes(4096 * 7168 * (1 + 4.0 / 128))};
    ASSERT_EQ(kernel_cases(cast).size(), 1U);
    EXPECT_EQ(kernel_cases(cast)[0].rows, 4096);
    // A norm that also reads and writes a residual, 8 bytes a value, runs as a plain one, 4 bytes
    // a value, over twice the rows.
    const MemoryOp norm{MemoryOpKind::rms_norm, 4096, 7168, Bytes(4096 * 7168 * 4.0),
                        Bytes(4096 * 7168 * 4.0)};
    EXPECT_EQ(kernel_cases(norm)[0].rows, 8192);
}

TEST(Binding, AttentionsHelpersAreKernelsOfItsBackward) {
    EXPECT_EQ(holder("core_attention.backward_preprocess"), "core_attention.backward");
    EXPECT_EQ(holder("core_attention"), "core_attention");
    EXPECT_TRUE(
        kernel_cases({MemoryOpKind::attention_preprocess, 1, 1, Bytes(1), Bytes(1)}).empty());
}

// The pair has the four all-to-alls of a layer on the communication stream and keeps GEMMs to 112
// SMs; the passes alone have none. Both replay to the end.
TEST(LayerProgram, ReplaysWithPrices) {
    const OperatorTimeModel compute(load_accelerator("h100_sxm5", "hw_profiles"));
    const CommunicationCost communication(load_cluster("h800_ib_2048", "hw_profiles"));
    double alone = 0, pair = 0;
    for (const LoopRun run : kLoopRuns) {
        const LayerProgram program = layer_program(deepseek_v3(), run);
        EXPECT_EQ(program.collectives.size(), run == LoopRun::pair ? 4U : 0U);
        const ReplayInput input = priced(program, compute, communication, Clock::burst);
        const double ps = static_cast<double>(replay(input, {}).makespan_ps);
        (run == LoopRun::pair ? pair : alone) += ps;
    }
    EXPECT_GT(pair, alone);  // 112 SMs, and something beside
    EXPECT_LT(pair, 1.5 * alone);
}

}  // namespace
}  // namespace orrery::closed_loop
