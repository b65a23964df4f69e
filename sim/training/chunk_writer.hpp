#pragma once
// Writes passes of model chunks as stream instructions.
//
// A pass alone runs its phases one after the other: communication is exposed. An overlapped pair
// weaves one layer of the forward chunk with one of the backward chunk, in the order that
// DeepSeek's published trace shows (F forward, B input gradient, W weight gradient):
//
//   communication:  combine(B)        dispatch(F)   dispatch(B)           combine(F)
//   compute:        attention(F)      mlp(B)        mlp(W)  mlp(F)        attention(B) attention(W)
//
// dispatch(F) hides behind mlp(B); dispatch(B) behind mlp(W) and mlp(F); combine(F) behind
// attention(B); the next layer's combine(B) behind attention(W) and attention(F). Dense layers have
// no communication of their own and hide the other chunk's. Embedding, head and projections are not
// paired: they run in their chunk's order. Layers left over once one chunk has run out follow
// alone.

#include <cstdint>
#include <vector>

#include "replay/program.hpp"
#include "training/piece.hpp"

namespace orrery {

class ChunkWriter {
  public:
    explicit ChunkWriter(RankProgram& program) : program_(program) {}

    void forward(const PricedStage& stage);
    // Input gradients in reverse order; with weight gradients right behind each layer's.
    void backward(const PricedStage& stage, bool with_weights);
    void backward_weight(const PricedStage& stage);
    void overlapped(const PricedStage& forward, const PricedStage& backward);
    // Phases one after the other.
    void sequence(const std::vector<PricedPhase>& phases);

  private:
    // The last instruction of a chain of dependent phases.
    struct Chain {
        Stream stream = Stream::compute;
        std::uint32_t count = 0;
    };
    void emit(const PricedPhase& phase, Chain& chain);
    void emit_all(const std::vector<PricedPhase>& phases, Chain& chain);
    void emit_independent(const std::vector<PricedPhase>& phases);
    void pair(const PricedPiece* forward, const PricedPiece* backward, Chain& f, Chain& b);
    Instruction& append(Stream s, InstructionKind kind, std::uint32_t index, std::uint32_t label);
    std::uint32_t count(Stream s) const {
        return static_cast<std::uint32_t>(program_.stream(s).size());
    }
    Chain here() const { return {Stream::compute, count(Stream::compute)}; }

    RankProgram& program_;
};

}  // namespace orrery
