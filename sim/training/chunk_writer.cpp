#include "training/chunk_writer.hpp"

#include <array>

namespace orrery {
namespace {

// A layer's phases of one pass split at its all-to-alls, whatever tensor-parallel collectives stand
// between: forward {attention, dispatch, mlp, combine}, backward {combine, mlp, dispatch,
// attention}.
enum Part { kAttention, kDispatch, kMlp, kCombine, kParts };
using Parts = std::array<std::vector<PricedPhase>, kParts>;

Parts split(const std::vector<PricedPhase>& phases, Part first) {
    Parts parts;
    Part current = first;
    for (const PricedPhase& phase : phases) {
        switch (phase.kind) {
            case PhaseKind::attention:
                current = kAttention;
                break;
            case PhaseKind::dispatch:
                current = kDispatch;
                break;
            case PhaseKind::mlp:
                current = kMlp;
                break;
            case PhaseKind::combine:
                current = kCombine;
                break;
            default:
                break;  // stays with the part it stands in
        }
        parts[current].push_back(phase);
    }
    return parts;
}

}  // namespace

Instruction& ChunkWriter::append(Stream s, InstructionKind kind, std::uint32_t index,
                                 std::uint32_t label) {
    auto& stream = program_.stream(s);
    stream.push_back({kind, Stream::compute, 0, index, label});
    return stream.back();
}

void ChunkWriter::emit(const PricedPhase& phase, Chain& chain) {
    const Stream s = phase.communicates ? Stream::communication : Stream::compute;
    const auto add = [&](InstructionKind kind, std::uint32_t index, bool varies) {
        Instruction& instruction = append(s, kind, index, phase.label);
        instruction.varies = varies;
        if (chain.stream != s) {
            instruction.wait_stream = chain.stream;
            instruction.wait_count = chain.count;
        }
        chain = {s, count(s)};
    };
    if (phase.has_segment) add(InstructionKind::run, phase.segment, phase.segment_varies);
    if (phase.has_collective) {
        add(InstructionKind::collective, phase.collective, phase.collective_varies);
    }
}

void ChunkWriter::emit_all(const std::vector<PricedPhase>& phases, Chain& chain) {
    for (const PricedPhase& phase : phases) emit(phase, chain);
}

// Weight gradients depend on compute that is already in the stream before them.
void ChunkWriter::emit_independent(const std::vector<PricedPhase>& phases) {
    Chain chain = here();
    emit_all(phases, chain);
}

void ChunkWriter::sequence(const std::vector<PricedPhase>& phases) { emit_independent(phases); }

void ChunkWriter::forward(const PricedStage& stage) {
    Chain chain = here();
    for (const PricedPiece& piece : stage) emit_all(piece.forward, chain);
}

void ChunkWriter::backward(const PricedStage& stage, bool with_weights) {
    Chain chain = here();
    for (auto piece = stage.rbegin(); piece != stage.rend(); ++piece) {
        emit_all(piece->backward_input, chain);
        if (with_weights) emit_all(piece->backward_weight, chain);
    }
}

void ChunkWriter::backward_weight(const PricedStage& stage) {
    Chain chain = here();
    for (auto piece = stage.rbegin(); piece != stage.rend(); ++piece) {
        emit_all(piece->backward_weight, chain);
    }
}

void ChunkWriter::pair(const PricedPiece* forward, const PricedPiece* backward, Chain& f,
                       Chain& b) {
    const Parts pf = forward ? split(forward->forward, kAttention) : Parts{};
    const Parts pb = backward ? split(backward->backward_input, kMlp) : Parts{};
    const Parts pw = backward ? split(backward->backward_weight, kMlp) : Parts{};
    emit_all(pb[kCombine], b);
    emit_all(pf[kAttention], f);
    emit_all(pf[kDispatch], f);
    emit_all(pb[kMlp], b);
    emit_all(pb[kDispatch], b);
    emit_independent(pw[kMlp]);
    emit_all(pf[kMlp], f);
    emit_all(pf[kCombine], f);
    emit_all(pb[kAttention], b);
    emit_independent(pw[kAttention]);
}

void ChunkWriter::overlapped(const PricedStage& forward, const PricedStage& backward) {
    Chain f = here();
    Chain b = f;
    auto next_forward = forward.begin();
    auto next_backward = backward.rbegin();
    while (next_forward != forward.end() || next_backward != backward.rend()) {
        if (next_forward != forward.end() && !next_forward->is_layer) {
            emit_all((next_forward++)->forward, f);
        } else if (next_backward != backward.rend() && !next_backward->is_layer) {
            emit_all(next_backward->backward_input, b);
            emit_independent((next_backward++)->backward_weight);
        } else {
            const PricedPiece* pf = next_forward != forward.end() ? &*next_forward++ : nullptr;
            const PricedPiece* pb = next_backward != backward.rend() ? &*next_backward++ : nullptr;
            pair(pf, pb, f, b);
        }
    }
}

}  // namespace orrery
