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
    std::int32_t mtp_layer = static_cast<std::int32_t>(spec_.model.layers.size());
    const auto passes = [](const std::string& name, const LayerSpec* layer, const auto& lower) {
        return LoweredPiece{name, layer, lower(Pass::forward), lower(Pass::backward_input),
                            lower(Pass::backward_weight)};
    };
    const ModelSpec& model = spec_.model;
    const ParallelPlan& plan = spec_.plan;
    const auto layer_piece = [&](const std::string& name, const LayerSpec& layer) {
        return passes(name, &layer,
                      [&](Pass p) { return lower_layer(model, layer, plan, p, batch); });
    };
    const auto head_piece = [&](const std::string& name) {
        return passes(name, nullptr, [&](Pass p) { return lower_head(model, plan, p, batch); });
    };
    for (const StageLayout& stage : plan.stages) {
        std::vector<LoweredPiece> pieces;
        if (stage.embedding) {
            pieces.push_back(passes("embedding", nullptr, [&](Pass p) {
                return lower_embedding(model, plan, p, batch);
            }));
        }
        for (const std::int32_t i : stage.layers) {
            pieces.push_back(
                layer_piece(fmt::format("layer {}", i), model.layers[static_cast<std::size_t>(i)]));
            pieces.back().layer = i;
        }
        if (stage.head) pieces.push_back(head_piece("head"));
        for (std::int32_t i = 0; i < stage.mtp_modules; ++i) {
            pieces.push_back(passes(fmt::format("MTP {} projection", i), nullptr, [&](Pass p) {
                return lower_mtp_projection(model, plan, p, batch);
            }));
            pieces.push_back(layer_piece(fmt::format("MTP {} layer", i),
                                         model.mtp_layer ? *model.mtp_layer : model.layers.back()));
            pieces.back().layer = mtp_layer++;
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

bool PieceFactory::draws_differ(const Operator& op) const {
    const RoutedExperts* experts = pricing_.experts();
    const auto kind = std::get<Communication>(op.shape).kind;
    return experts != nullptr && experts->timed() && experts->draws() > 1 &&
           (kind == CommunicationKind::expert_dispatch ||
            kind == CommunicationKind::expert_combine);
}

// Where draws differ, one of each and all once more: an expert group's shift runs past the last.
std::uint32_t PieceFactory::collective(const Operator& op) {
    const auto [it, added] = collectives_.try_emplace(
        {op.name, op.shape}, static_cast<std::uint32_t>(input_.collectives.size()));
    if (!added) return it->second;
    const std::int32_t draws = draws_differ(op) ? pricing_.experts()->draws() : 1;
    for (std::int32_t i = 0; i < (draws > 1 ? 2 * draws : 1); ++i) {
        input_.collectives.push_back(pricing_.collective(op, i % draws));
    }
    return it->second;
}

std::uint32_t PieceFactory::label_operators(const std::vector<Operator>& operators) {
    std::vector<OperatorLabel> names;
    for (const Operator& op : operators) {
        if (class_of(op) == OperatorClass::communication) continue;
        names.push_back({op.name, class_of(op)});
    }
    operators_.push_back(std::move(names));
    return static_cast<std::uint32_t>(operators_.size() - 1);
}

// A segment of the compute operators; the caller says whose labels it has.
SegmentId PieceFactory::add_segment(const std::vector<Operator>& operators, ChunkKind chunk,
                                    bool noted) {
    std::vector<OperatorDurations> durations;
    for (const Operator& op : operators) {
        if (class_of(op) == OperatorClass::communication) continue;
        // On the communication stream nothing is beside it that takes its SMs.
        durations.push_back(pricing_.durations(op, chunk, noted));
    }
    return input_.segments.add(durations);
}

std::vector<PricedPhase> PieceFactory::price(const std::vector<Phase>& phases,
                                             const std::string& label, ChunkKind chunk,
                                             const LoweredPiece* piece, Pass pass) {
    static constexpr const char* kNames[] = {"attention", "dispatch",   "mlp",
                                             "combine",   "collective", "embedding",
                                             "head",      "projection", "step"};
    std::vector<PricedPhase> result;
    for (std::size_t p = 0; p < phases.size(); ++p) {
        const Phase& phase = phases[p];
        PricedPhase priced;
        priced.kind = phase.kind;
        priced.communicates = phase.communicates();
        priced.label = static_cast<std::uint32_t>(input_.labels.size());
        input_.labels.push_back(
            fmt::format("{} {}", label, kNames[static_cast<std::size_t>(phase.kind)]));
        for (const Operator& op : phase.operators) {
            if (class_of(op) != OperatorClass::communication) {
                priced.has_segment = true;
                continue;
            }
            priced.has_collective = std::get<Communication>(op.shape).ranks > 1;
            priced.collective = collective(op);
            priced.collective_varies = draws_differ(op);
        }
        const Varying varying{piece ? piece->spec : nullptr, pass, p};
        if (priced.has_segment && varies(varying, phase)) {
            priced.segment = family(varying, phase, chunk);
            priced.segment_varies = true;
        } else if (priced.has_segment) {
            priced.segment = add_segment(phase.operators, chunk);
            operators_of_.push_back(label_operators(phase.operators));
        }
        result.push_back(priced);
    }
    return result;
}

// Whether rows that routing brings change the phase's operators.
bool PieceFactory::varies(const Varying& phase, const Phase& balanced) const {
    const RoutedExperts* experts = pricing_.experts();
    if (phase.layer == nullptr || !phase.layer->moe || experts == nullptr ||
        !experts->rows_differ()) {
        return false;
    }
    BatchShape batch = spec_.batch();
    batch.routed = RoutedRows{1, 1};
    const Phase other =
        lower_layer(spec_.model, *phase.layer, spec_.plan, phase.pass, batch)[phase.phase];
    for (std::size_t i = 0; i < balanced.operators.size(); ++i) {
        if (balanced.operators[i].shape != other.operators[i].shape) return true;
    }
    return false;
}

// Segments [draw x members + member] of the phase, then all once more for shifted groups. Layers
// alike share them.
SegmentId PieceFactory::family(const Varying& phase, const Phase& balanced, ChunkKind chunk) {
    std::vector<Shape> shapes;
    for (const Operator& op : balanced.operators) shapes.push_back(op.shape);
    const auto [it, added] = families_.try_emplace({std::move(shapes), chunk},
                                                   static_cast<SegmentId>(operators_of_.size()));
    if (!added) return it->second;
    const RoutedExperts& experts = *pricing_.experts();
    const auto count = static_cast<std::uint32_t>(experts.draws() * experts.members());
    for (const Operator& op : balanced.operators) {
        if (class_of(op) != OperatorClass::communication) pricing_.durations(op, chunk);
    }
    BatchShape batch = spec_.batch();
    for (std::int32_t draw = 0; draw < experts.draws(); ++draw) {
        for (std::int32_t member = 0; member < experts.members(); ++member) {
            batch.routed = experts.rows(draw, member);
            const auto phases =
                lower_layer(spec_.model, *phase.layer, spec_.plan, phase.pass, batch);
            add_segment(phases[phase.phase].operators, chunk, false);
        }
    }
    input_.segments.repeat(it->second, count);
    operators_of_.resize(operators_of_.size() + 2 * count, label_operators(balanced.operators));
    return it->second;
}

const PricedStage& PieceFactory::stage(std::size_t index, ChunkKind chunk, int micro_batch) {
    const auto [it, added] = stages_.try_emplace({index, chunk});
    if (added) it->second = build(index, chunk);
    const RoutedExperts* experts = pricing_.experts();
    if (experts == nullptr || experts->draws() == 1) return it->second;
    const auto [drawn, is_new] = drawn_stages_.try_emplace({index, chunk, micro_batch}, it->second);
    if (!is_new) return drawn->second;
    for (PricedPiece& piece : drawn->second) {
        if (piece.layer < 0) continue;
        const std::int32_t draw = experts->draw_of(piece.layer, micro_batch);
        for (auto* phases : {&piece.forward, &piece.backward_input, &piece.backward_weight}) {
            for (PricedPhase& phase : *phases) {
                if (phase.segment_varies) {
                    phase.segment += static_cast<SegmentId>(draw * experts->members());
                }
                if (phase.collective_varies) phase.collective += static_cast<std::uint32_t>(draw);
            }
        }
    }
    return drawn->second;
}

PricedStage PieceFactory::build(std::size_t index, ChunkKind chunk) {
    PricedStage stage;
    for (const LoweredPiece& piece : lowered_[index]) {
        const auto pass = [&](const std::vector<Phase>& phases, const char* letter, Pass p) {
            return price(phases, piece.name + letter, chunk, &piece, p);
        };
        stage.push_back({piece.spec != nullptr, pass(piece.forward, " F", Pass::forward),
                         pass(piece.backward_input, " B", Pass::backward_input),
                         pass(piece.backward_weight, " W", Pass::backward_weight), piece.layer});
    }
    return stage;
}

}  // namespace orrery
