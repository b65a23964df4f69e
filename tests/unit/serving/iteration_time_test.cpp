#include "serving/iteration_time.hpp"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "engines.hpp"

namespace orrery {
namespace {

using test::decoding;
using test::deepseek_engine;
using test::llama_engine;
using test::prefilling;
using test::uneven;

double milliseconds(SimDuration d) { return static_cast<double>(d.ps) * 1e-9; }

struct Errors {
    double mean = 0, worst = 0;
};

// Interpolated against worked out, over random iterations that `draw` makes.
template <class Draw>
Errors interpolation_errors(IterationTime& engine, int count, const Draw& draw) {
    std::mt19937 random(7);
    Errors errors;
    for (int i = 0; i < count; ++i) {
        const EngineIteration it = draw(random);
        const double read = milliseconds(engine.time(it));
        const double exact = milliseconds(engine.direct(it));
        const double error = std::fabs(read / exact - 1);
        errors.mean += error / count;
        errors.worst = std::max(errors.worst, error);
    }
    return errors;
}

std::int64_t between(std::mt19937& random, std::int64_t low, std::int64_t high) {
    const double l = std::log(static_cast<double>(low)), h = std::log(static_cast<double>(high));
    return std::llround(std::exp(std::uniform_real_distribution<double>(l, h)(random)));
}

TEST(IterationTime, DecodingIsReadWithinTwoPerCent) {
    EngineSpec spec = deepseek_engine(64);
    spec.overlap = Overlap::automatic;
    spec.draft_tokens = 1;
    IterationTime engine(spec);
    const Errors errors = interpolation_errors(engine, 60, [](std::mt19937& r) {
        return decoding(between(r, 1, 400), between(r, 64, 60000), 2);
    });
    EXPECT_LT(errors.mean, 0.006);
    EXPECT_LT(errors.worst, 0.03);
}

TEST(IterationTime, PrefillIsReadWithinThreePerCent) {
    EngineSpec spec = deepseek_engine(32);
    spec.overlap = Overlap::automatic;
    IterationTime engine(spec);
    const Errors errors = interpolation_errors(engine, 40, [](std::mt19937& r) {
        return prefilling(between(r, 1, 16), between(r, 64, 4096), between(r, 1, 8192) - 1);
    });
    EXPECT_LT(errors.mean, 0.012);
    EXPECT_LT(errors.worst, 0.05);
}

TEST(IterationTime, MixedIterationsOfADenseModelAreReadWithinThreePerCent) {
    IterationTime engine(llama_engine());
    const Errors errors = interpolation_errors(engine, 60, [](std::mt19937& r) {
        Iteration it = prefilling(between(r, 1, 4), between(r, 16, 2048), between(r, 1, 4096) - 1);
        const Iteration more = decoding(between(r, 1, 128), between(r, 64, 8192));
        it.decode_sequences = more.decode_sequences;
        it.decode_tokens = more.decode_tokens;
        it.decode_context = more.decode_context;
        return it;
    });
    EXPECT_LT(errors.mean, 0.008);
    EXPECT_LT(errors.worst, 0.03);
}

// What was asked before may not change an answer: tables are filled at their own points only.
TEST(IterationTime, AnswersDoNotDependOnTheOrderOfQuestions) {
    IterationTime forward(llama_engine()), backward(llama_engine());
    std::vector<Iteration> questions;
    for (std::int64_t i = 1; i < 20; ++i) questions.push_back(decoding(7 * i, 300 * i));
    std::vector<SimDuration> first, last;
    for (const Iteration& it : questions) first.push_back(forward.time(it));
    for (auto it = questions.rbegin(); it != questions.rend(); ++it) {
        last.insert(last.begin(), backward.time(*it));
    }
    EXPECT_EQ(first, last);
}

TEST(IterationTime, NothingTakesNoTime) {
    IterationTime engine(llama_engine());
    EXPECT_EQ(engine.time({}).ps, 0);
}

// Kernels have plateaus and steps of their tiles, so neighbours may differ by some per cent in
// either direction; over doublings time only grows.
TEST(IterationTime, GrowsWithTokensAndContext) {
    IterationTime engine(deepseek_engine(32));
    SimDuration last{0};
    for (std::int64_t n = 1; n <= 512; n *= 2) {
        const SimDuration t = engine.time(decoding(n, 4096));
        EXPECT_GT(t, last) << n;
        last = t;
    }
    last = {0};
    for (std::int64_t context = 256; context <= 131072; context *= 2) {
        const SimDuration t = engine.time(decoding(64, context));
        EXPECT_GT(t, last) << context;
        last = t;
    }
    last = {0};
    for (std::int64_t length = 256; length <= 16384; length *= 2) {
        const SimDuration t = engine.time(prefilling(1, length));
        EXPECT_GT(t, last) << length;
        last = t;
    }
}

// Llama-3-8B on one H100 in BF16, one sequence: a step reads 16.06 GB of weights but the embedding
// (1.05 GB) at 2.99 TB/s at best: 5.02 ms. Kernels of a row reach two thirds of that and more.
TEST(IterationTime, DecodingOneSequenceReadsTheWeightsOnce) {
    IterationTime engine(llama_engine());
    const double t = milliseconds(engine.time(decoding(1, 128)));
    EXPECT_GT(t, 5.02);
    EXPECT_LT(t, 5.02 * 1.5);
}

// 8.03 B parameters, 2 FLOP each and token less the embedding's lookup (2 x 0.525 B): 15.0 GFLOP;
// attention adds 32 layers x 32 heads x 4 x 128 x 4096 x 4096 / 2. 989 TFLOP/s at best.
TEST(IterationTime, PrefillStaysUnderThePeak) {
    IterationTime engine(llama_engine());
    const double t = milliseconds(engine.time(prefilling(2, 4096)));
    const double work = 8192 * 15.0e9 + 2 * 32.0 * 32 * 4 * 128 * 4096 * 4096 / 2;
    const double rate = work / (t * 1e-3);
    EXPECT_LT(rate, 0.989e15);
    EXPECT_GT(rate, 0.5e15);
}

// Four ranks share the weights; the all-reduces and the gaps between kernels stay.
TEST(IterationTime, TensorParallelismIsFasterButNotFourfold) {
    IterationTime one(llama_engine()), four(llama_engine(4));
    const double t1 = milliseconds(one.time(decoding(16, 1024)));
    const double t4 = milliseconds(four.time(decoding(16, 1024)));
    EXPECT_LT(t4, t1);
    EXPECT_GT(t4, t1 / 4);
}

// Half the layers on each of two stages: the batch passes all of them, and is sent once.
TEST(IterationTime, AStageMoreAddsAMessage) {
    EngineSpec spec = llama_engine();
    IterationTime one(spec);
    spec.plan.pp = 2;
    IterationTime two(spec);
    const Iteration it = decoding(16, 1024);
    EXPECT_GT(two.direct(it), one.direct(it));
    EXPECT_NEAR(milliseconds(two.direct(it)), milliseconds(one.direct(it)), 0.1);
}

// Fewer bytes of weights: a step that reads them is faster the smaller they are.
TEST(IterationTime, SmallerWeightsDecodeFaster) {
    double last = 1e9;
    for (const Precision p : {Precision::bf16, Precision::int8_weight, Precision::int4_weight}) {
        EngineSpec spec = llama_engine();
        spec.plan.precision = p;
        IterationTime engine(spec);
        const double t = milliseconds(engine.time(decoding(4, 512)));
        EXPECT_LT(t, last);
        last = t;
    }
}

// `automatic` is whichever of the two is faster.
TEST(IterationTime, AutomaticTakesTheFaster) {
    EngineSpec spec = deepseek_engine(64);
    for (const std::int64_t sequences : {4, 256}) {
        std::vector<SimDuration> times;
        for (const Overlap o : {Overlap::none, Overlap::two_batch, Overlap::automatic}) {
            spec.overlap = o;
            IterationTime engine(spec);
            times.push_back(engine.direct(decoding(sequences, 4096)));
        }
        EXPECT_EQ(times[2], std::min(times[0], times[1]));
    }
}

// The single batch's closed form is what the replay machine makes of it.
TEST(IterationTime, OneBatchInClosedFormIsTheReplayed) {
    for (const Iteration& it : {decoding(64, 4096), prefilling(2, 2048)}) {
        IterationTime engine(deepseek_engine(32));
        const MoeLayerTimes layer = engine.moe_layer(it, false);
        const double ten = moe_layers_time(layer, 10, 1), nine = moe_layers_time(layer, 9, 1);
        const double exposed = layer.low_latency
                                   ? std::max(layer.shared.alone(), layer.dispatch) +
                                         layer.combine + 2 * (layer.send + layer.receive)
                                   : layer.shared.alone() + layer.dispatch + layer.combine;
        const double sum = layer.in.alone() + layer.core.alone() + layer.out.alone() +
                           layer.experts.alone() + exposed;
        EXPECT_NEAR(ten - nine, sum, 1e-9);
    }
}

}  // namespace
}  // namespace orrery
