#pragma once
// Model pieces priced for replay: a stage of the pipeline is a list of pieces (embedding, layers,
// MTP projection, head), each with its phases in every pass as segments and collectives.

#include <cstdint>
#include <map>
#include <string>
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
    SegmentId segment = 0;
    std::uint32_t collective = 0;
    std::uint32_t label = 0;
};

// A piece in one kind of chunk: its phases by pass, in execution order.
struct PricedPiece {
    bool is_layer = false;
    std::vector<PricedPhase> forward, backward_input, backward_weight;
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

    // The stage's pieces for chunks of this kind.
    const PricedStage& stage(std::size_t index, ChunkKind chunk);
    // Any list of phases, e.g. the optimizer's.
    std::vector<PricedPhase> price(const std::vector<Phase>& phases, const std::string& label,
                                   ChunkKind chunk);
    // Operators of a segment, in order.
    const std::vector<OperatorLabel>& operators(SegmentId segment) const {
        return operators_[segment];
    }

  private:
    void lower_all();
    PricedStage build(std::size_t index, ChunkKind chunk);
    std::uint32_t collective(const Operator& op);  // its index in the input

    struct LoweredPiece {
        std::string name;
        bool is_layer = false;
        std::vector<Phase> forward, backward_input, backward_weight;
    };
    std::vector<std::vector<LoweredPiece>> lowered_;  // by stage
    const TrainingSpec& spec_;
    Pricing& pricing_;
    ReplayInput& input_;
    std::map<std::pair<std::size_t, ChunkKind>, PricedStage> stages_;
    std::map<std::pair<std::string, decltype(Operator::shape)>, std::uint32_t> collectives_;
    std::vector<std::vector<OperatorLabel>> operators_;  // by segment
};

}  // namespace orrery
