#include "training/piece.hpp"

#include <fmt/format.h>

namespace orrery {

PieceFactory::PieceFactory(const TrainingSpec& spec, Pricing& pricing, ReplayInput& input)
    : spec_(spec), pricing_(pricing), input_(input) {
    lower_all();
    input_.segments = SegmentTable(pricing_.environments());
}

// Lowers every stage once, and prices its communications, which make the environments that
// kernels are priced in.
void PieceFactory::lower_all() {
    const BatchShape batch = spec_.batch();
    const auto passes = [](const std::string& name, bool is_layer, const auto& lower) {
        return LoweredPiece{name, is_layer, lower(Pass::forward), lower(Pass::backward_input),
                            lower(Pass::backward_weight)};
    };
    const ModelSpec& model = spec_.model;
    const ParallelPlan& plan = spec_.plan;
    const auto layer_piece = [&](const std::string& name, const LayerSpec& layer) {
        return passes(name, true,
                      [&](Pass p) { return lower_layer(model, layer, plan, p, batch); });
    };
    const auto head_piece = [&](const std::string& name) {
        return passes(name, false, [&](Pass p) { return lower_head(model, plan, p, batch); });
    };
    for (const StageLayout& stage : plan.stages) {
        std::vector<LoweredPiece> pieces;
        if (stage.embedding) {
            pieces.push_back(passes("embedding", false, [&](Pass p) {
                return lower_embedding(model, plan, p, batch);
            }));
        }
        for (const std::int32_t i : stage.layers) {
            pieces.push_back(
                layer_piece(fmt::format("layer {}", i), model.layers[static_cast<std::size_t>(i)]));
        }
        if (stage.head) pieces.push_back(head_piece("head"));
        for (std::int32_t i = 0; i < stage.mtp_modules; ++i) {
            pieces.push_back(passes(fmt::format("MTP {} projection", i), false, [&](Pass p) {
                return lower_mtp_projection(model, plan, p, batch);
            }));
            pieces.push_back(layer_piece(fmt::format("MTP {} layer", i),
                                         model.mtp_layer.value_or(model.layers.back())));
            pieces.push_back(head_piece(fmt::format("MTP {} head", i)));
        }
        lowered_.push_back(std::move(pieces));
    }
    for (const auto& pieces : lowered_) {
        for (const LoweredPiece& piece : pieces) {
            for (const auto* phases : {&piece.forward, &piece.backward_input}) {
                for (const Phase& phase : *phases) {
                    for (const Operator& op : phase.operators) {
                        if (class_of(op) == OperatorClass::communication) collective(op);
                    }
                }
            }
        }
    }
}

std::uint32_t PieceFactory::collective(const Operator& op) {
    const auto [it, added] = collectives_.try_emplace(
        {op.name, op.shape}, static_cast<std::uint32_t>(input_.collectives.size()));
    if (added) input_.collectives.push_back(pricing_.collective(op));
    return it->second;
}

std::vector<PricedPhase> PieceFactory::price(const std::vector<Phase>& phases,
                                             const std::string& label, ChunkKind chunk) {
    static constexpr const char* kNames[] = {"attention", "dispatch",   "mlp",
                                             "combine",   "collective", "embedding",
                                             "head",      "projection", "step"};
    std::vector<PricedPhase> result;
    for (const Phase& phase : phases) {
        PricedPhase priced;
        priced.kind = phase.kind;
        priced.communicates = phase.communicates();
        priced.label = static_cast<std::uint32_t>(input_.labels.size());
        input_.labels.push_back(
            fmt::format("{} {}", label, kNames[static_cast<std::size_t>(phase.kind)]));
        std::vector<OperatorDurations> durations;
        std::vector<OperatorLabel> names;
        for (const Operator& op : phase.operators) {
            if (class_of(op) == OperatorClass::communication) {
                priced.has_collective = std::get<Communication>(op.shape).ranks > 1;
                priced.collective = collective(op);
                continue;
            }
            // On the communication stream nothing is beside it that takes its SMs.
            durations.push_back(pricing_.durations(op, chunk));
            names.push_back({op.name, class_of(op)});
        }
        if (!durations.empty()) {
            priced.has_segment = true;
            priced.segment = input_.segments.add(durations);
            operators_.resize(priced.segment + 1);
            operators_[priced.segment] = std::move(names);
        }
        result.push_back(priced);
    }
    return result;
}

const PricedStage& PieceFactory::stage(std::size_t index, ChunkKind chunk) {
    const auto [it, added] = stages_.try_emplace({index, chunk});
    if (added) it->second = build(index, chunk);
    return it->second;
}

PricedStage PieceFactory::build(std::size_t index, ChunkKind chunk) {
    PricedStage stage;
    for (const LoweredPiece& piece : lowered_[index]) {
        stage.push_back({piece.is_layer, price(piece.forward, piece.name + " F", chunk),
                         price(piece.backward_input, piece.name + " B", chunk),
                         price(piece.backward_weight, piece.name + " W", chunk)});
    }
    return stage;
}

}  // namespace orrery
