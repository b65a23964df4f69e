// Llama-3-8B in BF16: h = 4096, 32 heads and 8 KV heads of 128, I = 14,336, T = 8,192 tokens.

#include "model/memory.hpp"
#include "model/read_config.hpp"

namespace orrery {
namespace {

struct Llama : testing::Test {
    Llama() { plan.stages = default_stages(model, 1); }
    double activations() const {
        return stage_activations(model, plan, plan.stages[0], batch).value();
    }
    double item(const std::string& name, std::int64_t copies = 1) const {
        for (const MemoryItem& i : static_memory(model, plan, plan.stages, copies, batch)) {
            if (i.name == name) return i.bytes.value();
        }
        return 0;
    }
    ModelSpec model = load_model("scenarios/models/llama3_8b.json");
    ParallelPlan plan;
    BatchShape batch{1, 8192, 1.0};
};

// A layer: input, two norms' outputs and the MLP's input 4 x 2 T h; queries, keys, values 2 T (32 +
// 16) 128; output 2 T h; statistics 4 T 32; SwiGLU 2 T (2 I + I). The ends: ids 8 T, head input and
// its norm's output 4 T h, logits 2 T 128,256.
TEST_F(Llama, KeepsEverythingWithoutRecompute) {
    const double layer = 8192 * (8.0 * 4096 + 2 * 6144 + 2 * 4096 + 4 * 32 + 6 * 14336);
    const double ends = 8192 * (8.0 + 4 * 4096 + 2 * 128256);
    EXPECT_EQ(activations(), 32 * layer + ends);
}

TEST_F(Llama, FullRecomputeKeepsLayerInputs) {
    plan.recompute.full = true;
    EXPECT_EQ(activations(), 32 * 2.0 * 8192 * 4096 + 8192 * (8.0 + 2 * 4096 + 2 * 128256));
}

// Tensor parallelism with sequence parallelism: token ids and nothing else stay whole at tp = 2.
TEST_F(Llama, TensorParallelismDividesActivations) {
    const double one = activations();
    plan.tp = 2;
    EXPECT_EQ(activations(), (one - 8 * 8192) / 2 + 8 * 8192);
}

// Context parallelism divides the tokens.
TEST_F(Llama, ContextParallelismDividesActivations) {
    const double one = activations();
    plan.cp = 4;
    EXPECT_EQ(activations(), one / 4);
}

// N = 8,030,261,248; ZeRO-1 over 8 ranks: 4 + 4 + 4 bytes / 8. Without it 12 N.
TEST_F(Llama, StaticMemory) {
    plan.dp = 8;
    EXPECT_EQ(item("weights"), 2 * 8'030'261'248.0);
    EXPECT_EQ(item("gradients"), 4 * 8'030'261'248.0);
    EXPECT_EQ(item("optimizer state"), 12 * 8'030'261'248.0 / 8);
    EXPECT_EQ(item("FP8 weights"), 0);
    EXPECT_EQ(item("all-to-all buffers"), 0);
    EXPECT_EQ(item("framework"), 0);
    plan.zero_stage = 0;
    EXPECT_EQ(item("optimizer state"), 12 * 8'030'261'248.0);
}

TEST_F(Llama, FrameworkMemoryIsAnInput) {
    plan.framework_memory.value = Bytes(2e9);
    EXPECT_EQ(item("framework"), 2e9);
}

// tp = 16 > 8 KV heads: queries, output, MLP, embedding and head divide by 16, K and V by 8.
TEST_F(Llama, KvHeadsAreReplicatedBeyondTheirNumber) {
    plan.tp = 16;
    const double kv = 2.0 * 1024 * 4096, others = 2.0 * 4096 * 4096 + 3.0 * 14336 * 4096;
    const double norms = 2.0 * 4096;
    const StageParameters p = stage_parameters(model, plan, plan.stages[0]);
    EXPECT_EQ(p.dense, 32 * (kv / 8 + others / 16 + norms) + 2.0 * 128256 * 4096 / 16 + 4096);
    EXPECT_EQ(p.expert, 0);
}

// With tied embeddings a head behind other stages holds a matrix of its own.
TEST_F(Llama, TiedHeadOnAnotherStageIsACopy) {
    model.tied_embeddings = true;
    plan.pp = 2;
    plan.stages = default_stages(model, 2);
    const StageParameters last = stage_parameters(model, plan, plan.stages[1]);
    EXPECT_EQ(last.dense, 16 * 218'112'000.0 + 4096 + 128256.0 * 4096);
    EXPECT_EQ(rank_parameters(model, plan, plan.stages).dense,
              32 * 218'112'000.0 + 4096 + 2 * 128256.0 * 4096);
}

// One expert rank of Mixtral: 8 / 4 = 2 of 8 experts of 3 x 4096 x 14,336, halved by tp = 2.
TEST(MemoryMixtral, ExpertsAreSplitByExpertAndTensorParallelism) {
    const ModelSpec model = load_model("scenarios/models/mixtral_8x7b.json");
    ParallelPlan plan;
    plan.tp = 2;
    plan.dp = plan.ep = 4;
    const StageParameters p = stage_parameters(model, plan, default_stages(model, 1)[0]);
    EXPECT_EQ(p.expert, 32 * 2 * 176'160'768.0 / 2);
}

}  // namespace
}  // namespace orrery
