#pragma once
// Model pieces priced for replay: a stage of the pipeline is a list of pieces (embedding, layers,
// MTP projection, head), each with its phases in every pass as segments and collectives.

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "model/lowering.hpp"
#include "replay/program.hpp"
#include "training/pricing.hpp"
#include "training/training_spec.hpp"

namespace orrery {

// One phase on one stream. A communication phase may first run kernels (casts) on its stream.
struct PricedPhase {
    PhaseKind kind = PhaseKind::attention;
    bool communicates = false;
    bool has_segment = false, has_collective = false;
    bool segment_varies = false, collective_varies = false;  // Instruction::varies
    SegmentId segment = 0;
    std::uint32_t collective = 0;
    std::uint32_t label = 0;
};

// A piece in one kind of chunk: its phases by pass, in execution order.
struct PricedPiece {
    bool is_layer = false;
    std::vector<PricedPhase> forward, backward_input, backward_weight;
    std::int32_t layer = -1;  // of the model, MTP layers behind; -1: no layer
};
using PricedStage = std::vector<PricedPiece>;  // in forward order

// What the trace and the breakdown need to know of a segment or collective.
struct OperatorLabel {
    const char* name = "";
    OperatorClass operator_class = OperatorClass::memory;
};

// Lowers and prices the pieces of a job into the tables of a ReplayInput.
class PieceFactory {
  public:
    PieceFactory(const TrainingSpec& spec, Pricing& pricing, ReplayInput& input);

    // The stage's pieces for chunks of this kind; with drawn routing, of this micro-batch.
    const PricedStage& stage(std::size_t index, ChunkKind chunk, int micro_batch = 0);
    // Any list of phases, e.g. the optimizer's.
    std::vector<PricedPhase> price(const std::vector<Phase>& phases, const std::string& label,
                                   ChunkKind chunk) {
        return price(phases, label, chunk, nullptr, Pass::forward);
    }
    // Operators of a segment, in order.
    const std::vector<OperatorLabel>& operators(SegmentId segment) const {
        return operators_[operators_of_[segment]];
    }

  private:
    using Shape = decltype(Operator::shape);
    struct LoweredPiece {
        std::string name;
        const LayerSpec* spec = nullptr;  // of a layer
        std::vector<Phase> forward, backward_input, backward_weight;
        std::int32_t layer = -1;
    };
    // A compute phase of a layer whose operators differ between ranks.
    struct Varying {
        const LayerSpec* layer = nullptr;
        Pass pass = Pass::forward;
        std::size_t phase = 0;
    };

    void lower_all();
    PricedStage build(std::size_t index, ChunkKind chunk);
    std::vector<PricedPhase> price(const std::vector<Phase>& phases, const std::string& label,
                                   ChunkKind chunk, const LoweredPiece* piece, Pass pass);
    bool varies(const Varying& phase, const Phase& balanced) const;
    SegmentId family(const Varying& phase, const Phase& balanced, ChunkKind chunk);
    SegmentId add_segment(const std::vector<Operator>& operators, ChunkKind chunk,
                          bool noted = true);
    std::uint32_t label_operators(const std::vector<Operator>& operators);
    std::uint32_t collective(const Operator& op);  // its index in the input
    bool draws_differ(const Operator& op) const;

    std::vector<std::vector<LoweredPiece>> lowered_;  // by stage
    const TrainingSpec& spec_;
    Pricing& pricing_;
    ReplayInput& input_;
    std::map<std::pair<std::size_t, ChunkKind>, PricedStage> stages_;  // of draw 0
    // Drawn routing: the same with each layer's draw, by (stage, chunk, micro-batch).
    std::map<std::tuple<std::size_t, ChunkKind, int>, PricedStage> drawn_stages_;
    std::map<std::pair<std::string, Shape>, std::uint32_t> collectives_;
    std::map<std::pair<std::vector<Shape>, ChunkKind>, SegmentId> families_;
    std::vector<std::uint32_t> operators_of_;  // by segment, into operators_
    std::vector<std::vector<OperatorLabel>> operators_;
};

}  // namespace orrery
