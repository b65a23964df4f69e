#include "training/job.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "training/chunk_writer.hpp"
#include "training/job_links.hpp"

namespace orrery {
namespace {

ActionClass class_of(ActionKind kind) {
    switch (kind) {
        case ActionKind::forward:
            return ActionClass::forward;
        case ActionKind::backward:
        case ActionKind::backward_input:
            return ActionClass::backward;
        case ActionKind::backward_weight:
            return ActionClass::backward_weight;
        case ActionKind::forward_backward:
            break;
    }
    return ActionClass::forward_backward;
}

std::string name_of(const Action& a) {
    if (a.kind == ActionKind::forward_backward) {
        return fmt::format("F{} stage {} & B{} stage {}", a.micro_batch, a.stage,
                           a.backward_micro_batch, a.backward_stage);
    }
    static constexpr const char* kLetters[] = {"F", "B", "I", "W"};
    return fmt::format("{}{} stage {}", kLetters[static_cast<std::size_t>(a.kind)], a.micro_batch,
                       a.stage);
}

void append(RankProgram& program, Stream s, InstructionKind kind, std::uint32_t index,
            std::uint32_t label, Stream wait_stream) {
    const auto count = static_cast<std::uint32_t>(program.stream(wait_stream).size());
    program.stream(s).push_back(
        {kind, wait_stream, s == wait_stream ? 0 : count, index, label, false});
}

}  // namespace

std::vector<std::size_t> held_stages(const PipelineSchedule& schedule, int pipeline_rank) {
    std::vector<std::size_t> held;
    for (const auto& stages : schedule.stage_rank) {
        for (std::size_t s = 0; s < stages.size(); ++s) {
            if (stages[s] == pipeline_rank) held.push_back(s);
        }
    }
    std::sort(held.begin(), held.end());
    held.erase(std::unique(held.begin(), held.end()), held.end());
    return held;
}

std::int64_t stage_copies(const PipelineSchedule& schedule) { return schedule.directions(); }

PlacementShape placement_shape(const TrainingSpec& spec, bool mirrored) {
    const ParallelPlan& plan = spec.plan;
    return {plan.pp,
            plan.dp,
            plan.cp,
            plan.tp,
            plan.ep,
            mirrored,
            static_cast<std::int64_t>(spec.cluster.gpus_per_node.value.value())};
}

JobBuilder::JobBuilder(const TrainingSpec& spec, const PipelineSchedule& schedule, Pricing& pricing)
    : spec_(spec), schedule_(schedule), pricing_(pricing), pieces_(spec, pricing, input_) {
    receive_label_ = static_cast<std::uint32_t>(input_.labels.size());
    input_.labels.emplace_back("pipeline receive");
    if (schedule.ranks > 1) {
        price_send();
    }
}

void JobBuilder::price_send() {
    const Operator op = pipeline_send(spec_.model, spec_.plan, spec_.batch());
    const SimDuration time = pricing_.send(op);
    if (spec_.network.pipeline_sends == PipelineSends::free) return;
    send_ps_ = time.ps;
    if (!spec_.network.shared_links) return;
    const GroupPlacement place =
        neighbour_placement(placement_shape(spec_, schedule_.directions() > 1));
    const ClusterProfile& cluster = spec_.cluster;
    send_transfer_.pattern = 0;  // each message's own
    send_transfer_.bytes = std::get<Communication>(op.shape).bytes.value();
    send_transfer_.latency_ps =
        to_sim_duration(place.ranks_per_node > 1 ? cluster.nvlink_latency.value
                                                 : cluster.nic_latency.value)
            .ps;
}

std::uint32_t& JobBuilder::slot(bool forward, int micro_batch, int stage) {
    const auto mb = static_cast<std::size_t>(micro_batch) +
                    (forward ? 0U : static_cast<std::size_t>(schedule_.micro_batches));
    return slots_[mb * static_cast<std::size_t>(schedule_.stages) +
                  static_cast<std::size_t>(stage)];
}

// A slot for every message: activations into (micro-batch, stage), gradients into (micro-batch,
// stage), where the neighbour stage lives on another rank.
void JobBuilder::number_slots() {
    slots_.assign(2U * static_cast<std::size_t>(schedule_.micro_batches) *
                      static_cast<std::size_t>(schedule_.stages),
                  kNoSlot);
    slot_count_.assign(static_cast<std::size_t>(schedule_.ranks), 0);
    for (int mb = 0; mb < schedule_.micro_batches; ++mb) {
        for (int stage = 0; stage < schedule_.stages; ++stage) {
            const int rank = schedule_.rank_of(mb, stage);
            auto& count = slot_count_[static_cast<std::size_t>(rank)];
            if (stage > 0 && schedule_.rank_of(mb, stage - 1) != rank) {
                slot(true, mb, stage) = count++;
            }
            if (stage + 1 < schedule_.stages && schedule_.rank_of(mb, stage + 1) != rank) {
                slot(false, mb, stage) = count++;
            }
        }
    }
}

void JobBuilder::write_receives(RankProgram& program, int, const Action& a) {
    const auto receive = [&](bool forward, int mb, int stage) {
        const std::uint32_t s = slot(forward, mb, stage);
        if (s == kNoSlot) return;
        append(program, Stream::compute, InstructionKind::receive, s, receive_label_,
               Stream::compute);
    };
    if (has_forward(a.kind)) receive(true, a.micro_batch, a.stage);
    if (has_backward_input(a.kind)) receive(false, a.backward_micro_batch, a.backward_stage);
}

void JobBuilder::send(RankProgram& program, int from, int to, std::uint32_t to_slot,
                      std::string label) {
    const auto index = static_cast<std::uint32_t>(input_.messages.size());
    input_.messages.push_back({send_ps_, static_cast<std::uint32_t>(to), to_slot, send_transfer_});
    if (send_transfer_.pattern != kNoPattern) {
        input_.messages.back().shared.pattern = static_cast<std::uint32_t>(to);
        sends_.emplace(from, to);
    }
    const auto label_index = static_cast<std::uint32_t>(input_.labels.size());
    input_.labels.push_back(std::move(label));
    append(program, Stream::send, InstructionKind::send, index, label_index, Stream::compute);
}

void JobBuilder::write_sends(RankProgram& program, int pipeline_rank, const Action& a) {
    if (has_forward(a.kind) && a.stage + 1 < schedule_.stages) {
        const int to = schedule_.rank_of(a.micro_batch, a.stage + 1);
        if (to != pipeline_rank) {
            send(program, pipeline_rank, to, slot(true, a.micro_batch, a.stage + 1),
                 fmt::format("send F{} to stage {}", a.micro_batch, a.stage + 1));
        }
    }
    if (has_backward_input(a.kind) && a.backward_stage > 0) {
        const int to = schedule_.rank_of(a.backward_micro_batch, a.backward_stage - 1);
        if (to != pipeline_rank) {
            send(program, pipeline_rank, to,
                 slot(false, a.backward_micro_batch, a.backward_stage - 1),
                 fmt::format("send B{} to stage {}", a.backward_micro_batch, a.backward_stage - 1));
        }
    }
}

void JobBuilder::write_action(RankProgram& program, int pipeline_rank, const Action& a,
                              std::uint32_t index) {
    write_receives(program, pipeline_rank, a);
    if (spec_.network.pipeline_sends == PipelineSends::blocking) {
        append(program, Stream::compute, InstructionKind::wait, 0, receive_label_, Stream::send);
    }
    append(program, Stream::compute, InstructionKind::begin_action, index, 0,
           Stream::communication);
    ChunkWriter writer(program);
    const auto stage = static_cast<std::size_t>(a.stage);
    const int micro_batch = a.micro_batch;
    switch (a.kind) {
        case ActionKind::forward:
            writer.forward(pieces_.stage(stage, ChunkKind::alone, micro_batch));
            break;
        case ActionKind::backward:
            writer.backward(pieces_.stage(stage, ChunkKind::alone, micro_batch), true);
            break;
        case ActionKind::backward_input:
            writer.backward(pieces_.stage(stage, ChunkKind::alone, micro_batch), false);
            break;
        case ActionKind::backward_weight:
            writer.backward_weight(pieces_.stage(stage, ChunkKind::alone, micro_batch));
            break;
        case ActionKind::forward_backward:
            writer.overlapped(pieces_.stage(stage, ChunkKind::overlapped, micro_batch),
                              pieces_.stage(static_cast<std::size_t>(a.backward_stage),
                                            ChunkKind::overlapped, a.backward_micro_batch));
            break;
    }
    append(program, Stream::compute, InstructionKind::end_action, index, 0, Stream::communication);
    write_sends(program, pipeline_rank, a);
}

void JobBuilder::write_optimizer(RankProgram& program, int pipeline_rank) {
    std::vector<StageLayout> held;
    for (const std::size_t s : held_stages(schedule_, pipeline_rank)) {
        held.push_back(spec_.plan.stages[s]);
    }
    const OptimizerStep step =
        lower_optimizer(spec_.model, spec_.plan, held, stage_copies(schedule_));
    const auto index = static_cast<std::uint32_t>(program.actions.size());
    program.actions.push_back({ActionClass::optimizer, "optimizer", 0, 0});
    append(program, Stream::compute, InstructionKind::begin_action, index, 0,
           Stream::communication);
    ChunkWriter(program).sequence(pieces_.price(step.phases, "optimizer", ChunkKind::alone));
    append(program, Stream::compute, InstructionKind::end_action, index, 0, Stream::communication);
}

RankProgram JobBuilder::program_of(int pipeline_rank) {
    RankProgram program;
    program.slots = slot_count_[static_cast<std::size_t>(pipeline_rank)];
    for (const Action& a : schedule_.actions[static_cast<std::size_t>(pipeline_rank)]) {
        program.actions.push_back(
            {class_of(a.kind), name_of(a), a.micro_batch, a.backward_micro_batch});
        write_action(program, pipeline_rank, a,
                     static_cast<std::uint32_t>(program.actions.size() - 1));
    }
    write_optimizer(program, pipeline_rank);
    return program;
}

// Which expert group of its pipeline rank it is in, and which member.
void JobBuilder::place_experts(RankPlace& place, const PlacementShape& shape,
                               std::int64_t dp_index) const {
    const RoutedExperts* experts = pricing_.experts();
    if (experts == nullptr || !experts->rows_differ()) return;
    const std::int32_t shift = experts->shift_of(dp_index / shape.ep);
    const auto member = static_cast<std::int32_t>(dp_index % shape.ep);
    place.segment_variant = static_cast<std::uint32_t>(shift * experts->members() + member);
    place.collective_variant = static_cast<std::uint32_t>(shift);
}

void JobBuilder::place_ranks() {
    const PlacementShape shape = placement_shape(spec_, schedule_.directions() > 1);
    input_.lanes = static_cast<std::uint32_t>(shape.lanes());
    input_.group_count = group_counts(shape);
    input_.jitter = spec_.jitter;
    input_.seed = spec_.seed;
    input_.ranks.resize(static_cast<std::size_t>(shape.ranks()));
    for (std::int64_t r = 0; r < shape.ranks(); ++r) {
        RankPlace& place = input_.ranks[static_cast<std::size_t>(r)];
        place.program = static_cast<std::uint32_t>(r / shape.lanes());
        place.group = groups_of(shape, r);
        place_experts(place, shape, r % shape.lanes() / (shape.cp * shape.tp));
    }
    for (const SlowRank& slow : spec_.slow_ranks) {
        input_.ranks[static_cast<std::size_t>(slow.rank)].slowness = slow.factor;
    }
}

const ReplayInput& JobBuilder::build() {
    number_slots();
    for (int r = 0; r < schedule_.ranks; ++r) input_.programs.push_back(program_of(r));
    place_ranks();
    if (spec_.network.shared_links) {
        input_.network = job_network(spec_, placement_shape(spec_, schedule_.directions() > 1),
                                     *pricing_.experts(), sends_);
    }
    return input_;
}

}  // namespace orrery
