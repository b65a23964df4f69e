// DeepSeek-V3 under its own plan: PP16 DualPipe, EP64, DP128, ZeRO-1, FP8 blocks, recompute of
// norms, MLA up-projections and SwiGLU, one sequence of T = 4,096 tokens a micro-batch. h = 7168.

#include "model/memory.hpp"
#include "model/read_config.hpp"

namespace orrery {
namespace {

struct DeepSeek : testing::Test {
    DeepSeek() {
        plan.pp = 16;
        plan.dp = 128;
        plan.ep = 64;
        plan.schedule = "dualpipe";
        plan.precision = Precision::fp8_block;
        plan.recompute = {.norm = true, .mla_up_projection = true, .swiglu = true};
        plan.stages = front_loaded_stages(model, 16);
    }
    double activation(std::size_t stage, const std::string& name) const {
        for (const MemoryItem& item :
             stage_activation_items(model, plan, plan.stages[stage], batch)) {
            if (item.name == name) return item.bytes.value();
        }
        return 0;
    }
    double item(std::size_t stage, std::size_t other, const std::string& name) const {
        for (const MemoryItem& i :
             static_memory(model, plan, {plan.stages[stage], plan.stages[other]}, 2, batch)) {
            if (i.name == name) return i.bytes.value();
        }
        return 0;
    }
    ModelSpec model = load_model("scenarios/models/deepseek_v3.json");
    ParallelPlan plan;
    BatchShape batch{1, 4096, 1.0};
};

// A MoE layer: attention 187,107,328, norms 2 h, shared expert 44,040,192 and router 1,835,264 are
// replicated (232,997,120); 256 / 64 = 4 experts of 44,040,192. FP8 weights: all matrices but the
// router's.
TEST_F(DeepSeek, ParametersOfAStageOfFourMoeLayers) {
    const StageParameters p = stage_parameters(model, plan, plan.stages[1]);
    EXPECT_EQ(p.dense, 4 * 232'997'120.0);
    EXPECT_EQ(p.expert, 4 * 4 * 44'040'192.0);
    EXPECT_EQ(p.linear, 4 * (187'107'328.0 - 2'048 + 5 * 44'040'192.0));
}

// Embedding, three dense layers of 583,483,392, one MoE layer; and at the other end a MoE layer,
// MTP (2 h h + 3 h + a MoE layer), final norm and head. Embedding and head are shared with MTP.
TEST_F(DeepSeek, ParametersOfTheOuterStages) {
    const StageParameters first = stage_parameters(model, plan, plan.stages[0]);
    EXPECT_EQ(first.dense, 926'679'040 + 3 * 583'483'392.0 + 232'997'120);
    const StageParameters last = stage_parameters(model, plan, plan.stages[15]);
    EXPECT_EQ(last.dense, 2 * 232'997'120.0 + 102'760'448 + 4 * 7'168 + 926'679'040);
    const StageParameters both = rank_parameters(model, plan, {plan.stages[0], plan.stages[15]});
    EXPECT_EQ(both.dense, first.dense + last.dense);
    // Alone, the last stage needs an embedding for its MTP module.
    EXPECT_EQ(rank_parameters(model, plan, {plan.stages[15]}).dense, last.dense + 926'679'040);
}

// All stages together, experts times 64 expert-parallel ranks, are the model with its MTP module.
TEST_F(DeepSeek, StagesAddUpToTheModel) {
    double sum = 0;
    for (const StageLayout& stage : plan.stages) {
        const StageParameters p = stage_parameters(model, plan, stage);
        sum += p.dense + 64 * p.expert;
    }
    EXPECT_EQ(sum, 682'636'487'424.0);
}

// Bytes of one MoE layer, times four:
//   input, MLP input    2 T h                      58,720,256 each
//   latents             2 T (1,536 + 512 + 64)     17,301,504
//   attention output    T (1.5 x 16,384 + 4 x 128) 102,760,448
//   statistics          4 T 128                     2,097,152
//   router              T (4 x 256 + 12 x 8)        4,587,520
//   expert inputs       a token reaches 32 (1 - C(124,8) / C(128,8)) = 7.3594 ranks: 30,144 rows of
//                       h + 4 x 56 bytes          222,824,448
//   row maps            8 x 32,768 rows               262,144
//   SwiGLU inputs       32,768 (4,096 + 128)      138,412,032;   shared T (4,096 + 128) 17,301,504
// in all 622,987,264.
TEST_F(DeepSeek, ActivationsOfAStageOfFourMoeLayers) {
    EXPECT_EQ(activation(1, "layer inputs"), 4 * 58'720'256.0);
    EXPECT_EQ(activation(1, "attention latents"), 4 * 17'301'504.0);
    EXPECT_EQ(activation(1, "attention outputs"), 4 * 102'760'448.0);
    EXPECT_EQ(activation(1, "expert inputs"), 4 * 222'824'448.0);
    EXPECT_EQ(activation(1, "expert SwiGLU inputs"), 4 * 138'412'032.0);
    EXPECT_EQ(activation(1, "norm outputs"), 0);
    EXPECT_EQ(activation(1, "queries, keys, values"), 0);
    EXPECT_EQ(stage_activations(model, plan, plan.stages[1], batch).value(), 4 * 622'987'264.0);
}

// First: three dense layers of 239,599,616 (a MoE layer's attention part and MLP input) + T (36,864
// + 4 x 288) = 395,313,152, a MoE layer, 8 T of token ids. Last: two MoE layers, two heads of 2 T h
// + 2 T 129,280 = 1,117,782,016, MTP inputs 2 T 2 h, 8 T.
TEST_F(DeepSeek, ActivationsOfTheOuterStages) {
    EXPECT_EQ(stage_activations(model, plan, plan.stages[0], batch).value(),
              3 * 395'313'152.0 + 622'987'264 + 32'768);
    EXPECT_EQ(stage_activations(model, plan, plan.stages[15], batch).value(),
              2 * 622'987'264.0 + 2 * 1'117'782'016.0 + 117'440'512 + 32'768);
}

// What keeping instead of recomputing costs a MoE layer: queries, keys, values 2 T 128 (2 x 192 +
// 128); SwiGLU's inputs in BF16 instead of FP8 and its outputs in FP8; norms' outputs.
TEST_F(DeepSeek, EachRecomputeSavesItsTensors) {
    const double all = stage_activations(model, plan, plan.stages[1], batch).value();
    const auto with = [&](Recompute recompute) {
        ParallelPlan other = plan;
        other.recompute = recompute;
        return stage_activations(model, other, plan.stages[1], batch).value() - all;
    };
    EXPECT_EQ(with({.norm = true, .swiglu = true}), 4 * 2.0 * 4096 * 128 * 512);
    EXPECT_EQ(with({.mla_up_projection = true, .swiglu = true}),
              4 * 4096.0 * ((7168 + 224) + (1536 + 48) + (512 + 16) + 2 * 7168));
    EXPECT_EQ(with({.norm = true, .mla_up_projection = true}),
              4 * (32768.0 + 4096) * (2 * 4096 - 4224 + 2048 + 64));
    EXPECT_EQ(with({.full = true}), 4 * 58'720'256.0 - all);
}

// Two stages of 1,636,631,552 parameters: N = 3,273,263,104, of them 1,863,976,960 replicated over
// 256 ranks (128 x 2 copies) and 1,409,286,144 of experts over 4 (2 x 2); FP8 copies of
// 3,258,449,920 with a scale for 16,384. Optimizer: 4 + 2 + 2 bytes.
TEST_F(DeepSeek, StaticMemoryOfAMiddleRank) {
    EXPECT_EQ(item(7, 8, "weights"), 2 * 3'273'263'104.0);
    EXPECT_EQ(item(7, 8, "FP8 weights"), 3'258'449'920.0 * (1 + 1.0 / 4096));
    EXPECT_EQ(item(7, 8, "gradients"), 4 * 3'273'263'104.0);
    EXPECT_EQ(item(7, 8, "optimizer state"), 8 * (7'281'160.0 + 352'321'536.0));
}

// Received rows D = 30,144. Forward and backward exchange together: 30,144 x 7,392 + 2 x 2 h (D +
// T); DeepEP's rings: 10 x 8 x 288 slots of 2 h + 2,056, and 2 x 10 x 8 x 128 of 16 bytes more.
// Temporaries: 32,768 (7,392 + 2 (4,096 + 7,168)) forward in the MLP; backward in the attention:
// 4 T 128 (192 + 192 + 128) + 4 T 128 x 192 + 4 T 128 x 128.
TEST_F(DeepSeek, BuffersOfAMiddleRank) {
    const double exchange = 222'824'448.0 + 2 * 2 * 7168.0 * (30'144 + 4'096);
    const double rings = 23'040.0 * (14'336 + 2'056) + 20'480.0 * (14'336 + 2'056 + 16);
    EXPECT_EQ(item(7, 8, "all-to-all buffers"), exchange + rings);
    EXPECT_EQ(item(7, 8, "working buffers"),
              32'768.0 * (7'392 + 2 * 11'264) + 4 * 4096.0 * 128 * (512 + 192 + 128));
}

// DeepSeek trained on 80 GB: with the 17 chunks in flight that DualPipe holds (PP + 1, report Table
// 2) the plan must fit, and it must be a plan that needs the card.
TEST_F(DeepSeek, ThePlanFitsEightyGigabytes) {
    double total = 17 * stage_activations(model, plan, plan.stages[7], batch).value();
    for (const MemoryItem& i :
         static_memory(model, plan, {plan.stages[7], plan.stages[8]}, 2, batch)) {
        total += i.bytes.value();
    }
    EXPECT_LT(total, 80e9);
    EXPECT_GT(total, 40e9);
    RecordProperty("bytes", std::to_string(total));
}

// Input and output features of a MoE layer's linear layers, kept in FP8 with scales (33/32):
//   attention  in 7,168 + 1,536 + 512 + 16,384, out 1,536 + 24,576 + 576 + 32,768 + 7,168
//   experts    32,768 rows of 7,168 + 2 x 2,048 + 2,048 + 7,168; the shared expert the same on T
//   router     BF16, 7,168 + 256
// Every width but 576 (5 scales) is a multiple of 128.
TEST_F(DeepSeek, OperandsOfDeferredWeightGradients) {
    const double attention = 4096 * (25'600 + 66'624 + 4.0 * (200 + 516 + 5));
    const double experts = (32'768 + 4'096) * 20'480 * 33.0 / 32;
    const double router = 2 * 4096.0 * (7'168 + 256);
    EXPECT_EQ(stage_weight_gradient_operands(model, plan, plan.stages[1], batch).value(),
              4 * (attention + experts + router));
}

}  // namespace
}  // namespace orrery
