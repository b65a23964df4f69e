// From the start of an engine until it serves.
#include "serving/startup.hpp"

#include <gtest/gtest.h>

#include "engines.hpp"
#include "serving_fixture.hpp"

namespace orrery {
namespace {

double seconds(SimDuration d) { return to_seconds(d).value(); }

// 40 GB of weights on each of 32 GPUs, 8 a node.
DeployedPool pool_of(Precision precision) {
    DeployedPool pool;
    pool.engine = test::deepseek_engine(32);
    pool.engine.plan.precision = precision;
    pool.memory = {{"weights", Bytes(40e9), {}}, {"activations", Bytes(5e9), {}}};
    return pool;
}

// A node reads 8 x 40 GB at 10 GB/s; the store gives 64 GB/s to 4 nodes: 1280 / 64.
TEST(Startup, ReadsTheWeights) {
    StartupInputs inputs;
    inputs.warm_up = to_sim_duration(Seconds(90));
    EXPECT_DOUBLE_EQ(seconds(plan_startup(pool_of(Precision::fp8_block), inputs).alone()), 90);
    inputs.storage = BytesPerSecond(10e9);
    inputs.store = BytesPerSecond(64e9);
    const Startup startup = plan_startup(pool_of(Precision::fp8_block), inputs);
    EXPECT_DOUBLE_EQ(startup.node_bytes.value(), 320e9);
    EXPECT_DOUBLE_EQ(seconds(startup.read), 32);
    EXPECT_DOUBLE_EQ(seconds(startup.store), 20);
    EXPECT_EQ(startup.convert.ps, 0);
    EXPECT_DOUBLE_EQ(seconds(startup.alone()), 32 + 90);
    inputs.store = BytesPerSecond(16e9);
    EXPECT_DOUBLE_EQ(seconds(plan_startup(pool_of(Precision::fp8_block), inputs).alone()), 80 + 90);
}

// An engine smaller than a node reads what its GPUs hold.
TEST(Startup, OfPartOfANode) {
    DeployedPool pool = pool_of(Precision::bf16);
    pool.engine.plan.dp = pool.engine.plan.ep = 2;
    EXPECT_DOUBLE_EQ(plan_startup(pool, {}).node_bytes.value(), 80e9);
}

// DeepSeek-V3 has 671.03e9 parameters: 1,342.05 GB in BF16. In FP8 a byte each, 4 B for 128 x 128
// (0.16 GB) and one more byte for embedding and head (1.85e9) and routers (0.11e9): 673.15 GB,
// 0.50158 of it. A GPU that holds 40 GB of BF16 reads 20.06 and writes 40 at the copy bandwidth.
TEST(Startup, ConvertsWhatItLoads) {
    StartupInputs inputs;
    inputs.storage = BytesPerSecond(10e9);
    inputs.conversion = WeightConversion::on_load;
    const DeployedPool pool = pool_of(Precision::bf16);
    const Startup startup = plan_startup(pool, inputs);
    EXPECT_NEAR(startup.node_bytes.value() / 320e9, 673.15 / 1342.05, 1e-4);
    EXPECT_NEAR(seconds(startup.read), 16.05, 0.01);
    EXPECT_NEAR(seconds(startup.convert),
                60.06e9 / pool.engine.accelerator.copy_bandwidth.value.value(), 1e-4);
    EXPECT_FALSE(startup.convert_first);
}

// The script reads 673 GB at 10 GB/s and writes 1,342 GB at 4 GB/s; in between one GPU moves both.
// Then 320 GB of BF16 are read.
TEST(Startup, ConvertsOffline) {
    StartupInputs inputs;
    inputs.storage = BytesPerSecond(10e9);
    inputs.write = BytesPerSecond(4e9);
    inputs.conversion = WeightConversion::offline;
    const DeployedPool pool = pool_of(Precision::bf16);
    const double copy = pool.engine.accelerator.copy_bandwidth.value.value();
    const Startup startup = plan_startup(pool, inputs);
    EXPECT_TRUE(startup.convert_first);
    EXPECT_NEAR(seconds(startup.convert), 67.3 + 335.5 + 2015e9 / copy, 0.1);
    EXPECT_DOUBLE_EQ(seconds(startup.read), 32);
}

// Both engines fail at 50 and are repaired at 70. They read from one store, 80 ms each: the first
// is through at max(170, 150), the second at 230, and both convert and warm up for 50 ms: up at 220
// and 280. The two requests go to the first, 200 tokens until 420. The third comes at 230 when it
// alone is up: 420-520.
TEST(Startup, AfterFailuresOneAfterTheOther) {
    LinearTimer timer{.prefill_ps = kMillisecond, .any_decode_ps = 10 * kMillisecond};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].engines = 2;
    spec.pools[0].startup = {.read = {100 * kMillisecond},
                             .store = {80 * kMillisecond},
                             .convert = {20 * kMillisecond},
                             .warm_up = {30 * kMillisecond}};
    const SimTime at{50 * kMillisecond};
    spec.failures = {.given = {{0, 0, at}, {0, 1, at}}, .repair = {20 * kMillisecond}};
    const auto ttft = [&] {
        const ServingResult result =
            simulate_serving(spec, stream_of({make_request(0, 100, 1), make_request(0, 100, 1),
                                              make_request(230, 100, 1)}));
        EXPECT_EQ(result.finished, 3);
        return result.ttft.mean().value() * 1e3;
    };
    EXPECT_DOUBLE_EQ(ttft(), (420 + 420 + 290) / 3.0);
    // Converting first, the reads are 90-190 and 170-250: up at 220 and at 280.
    spec.pools[0].startup.convert_first = true;
    EXPECT_DOUBLE_EQ(ttft(), (420 + 420 + 290) / 3.0);
    // Without a store between them both are up at 220, and the third has the second to itself.
    spec.pools[0].startup.store = {};
    EXPECT_DOUBLE_EQ(ttft(), (420 + 420 + 100) / 3.0);
}

}  // namespace
}  // namespace orrery
