#include "training/chunk_writer.hpp"

#include <gtest/gtest.h>

namespace orrery {
namespace {

// A layer whose phases carry their own label: F attention 1, dispatch 2, mlp 3, combine 4;
// B combine 11, mlp 12, dispatch 13, attention 14; W mlp 21, attention 22 (+ 100 x layer).
PricedPhase phase(PhaseKind kind, std::uint32_t label) {
    PricedPhase p;
    p.kind = kind;
    p.communicates = kind == PhaseKind::dispatch || kind == PhaseKind::combine;
    p.has_segment = !p.communicates;
    p.has_collective = p.communicates;
    p.label = label;
    return p;
}
PricedPiece moe_layer(std::uint32_t base) {
    return {true,
            {phase(PhaseKind::attention, base + 1), phase(PhaseKind::dispatch, base + 2),
             phase(PhaseKind::mlp, base + 3), phase(PhaseKind::combine, base + 4)},
            {phase(PhaseKind::combine, base + 11), phase(PhaseKind::mlp, base + 12),
             phase(PhaseKind::dispatch, base + 13), phase(PhaseKind::attention, base + 14)},
            {phase(PhaseKind::mlp, base + 21), phase(PhaseKind::attention, base + 22)}};
}
PricedPiece head(std::uint32_t base) {
    return {false,
            {phase(PhaseKind::head, base + 1)},
            {phase(PhaseKind::head, base + 11)},
            {phase(PhaseKind::head, base + 21)}};
}

std::vector<std::uint32_t> labels(const RankProgram& program, Stream s) {
    std::vector<std::uint32_t> result;
    for (const Instruction& i : program.stream(s)) result.push_back(i.label);
    return result;
}
using Labels = std::vector<std::uint32_t>;

// The pairing of the published trace (file comment of chunk_writer.hpp).
TEST(ChunkWriter, PairsPhasesAsTheTraceDoes) {
    RankProgram program;
    ChunkWriter(program).overlapped({moe_layer(0)}, {moe_layer(0)});
    EXPECT_EQ(labels(program, Stream::compute), (Labels{1, 12, 21, 3, 14, 22}));
    EXPECT_EQ(labels(program, Stream::communication), (Labels{11, 2, 13, 4}));
}

// combine(B) of layer 2's pair waits for attention(B) of the pair before (compute instruction 5),
// not for attention(W) behind it; dispatch(F) for attention(F); dispatch(B) for mlp(B).
TEST(ChunkWriter, CommunicationWaitsForWhatItSends) {
    RankProgram program;
    ChunkWriter(program).overlapped({moe_layer(0), moe_layer(100)}, {moe_layer(0), moe_layer(100)});
    const auto& communication = program.stream(Stream::communication);
    EXPECT_EQ(communication[1].wait_count, 1U);  // dispatch(F): attention(F) is the first
    EXPECT_EQ(communication[2].wait_count, 2U);  // dispatch(B): mlp(B)
    EXPECT_EQ(communication[3].wait_count, 4U);  // combine(F): mlp(F)
    EXPECT_EQ(communication[4].label, 11U);      // combine(B) of the backward chunk's first layer
    EXPECT_EQ(communication[4].wait_count, 5U);
    const auto& compute = program.stream(Stream::compute);
    EXPECT_EQ(compute[1].wait_count, 1U);  // mlp(B): combine(B)
    EXPECT_EQ(compute[3].wait_count, 2U);  // mlp(F): dispatch(F)
    EXPECT_EQ(compute[4].wait_count, 3U);  // attention(B): dispatch(B)
    EXPECT_EQ(compute[6].label, 101U);     // the next layer's attention(F): combine(F)
    EXPECT_EQ(compute[6].wait_count, 4U);
}

// Backward chunks run from their last piece to their first; a head is not paired.
TEST(ChunkWriter, HeadsRunInTheirChunksOrder) {
    RankProgram program;
    ChunkWriter(program).overlapped({moe_layer(0)}, {moe_layer(100), head(200)});
    EXPECT_EQ(labels(program, Stream::compute), (Labels{211, 221, 1, 112, 121, 3, 114, 122}));
}

TEST(ChunkWriter, LayersLeftOverRunAlone) {
    RankProgram program;
    ChunkWriter(program).overlapped({moe_layer(0), moe_layer(100)}, {moe_layer(0)});
    EXPECT_EQ(labels(program, Stream::compute), (Labels{1, 12, 21, 3, 14, 22, 101, 103}));
}

TEST(ChunkWriter, AlonePassesExposeTheirCommunication) {
    RankProgram program;
    ChunkWriter(program).forward({moe_layer(0)});
    EXPECT_EQ(labels(program, Stream::compute), (Labels{1, 3}));
    EXPECT_EQ(program.stream(Stream::compute)[1].wait_count, 1U);
    EXPECT_EQ(program.stream(Stream::communication)[1].wait_count, 2U);
}

TEST(ChunkWriter, FullBackwardRunsWeightGradientsBehindEachLayer) {
    RankProgram program;
    ChunkWriter(program).backward({moe_layer(0), moe_layer(100)}, true);
    EXPECT_EQ(labels(program, Stream::compute), (Labels{112, 114, 121, 122, 12, 14, 21, 22}));
}

}  // namespace
}  // namespace orrery
