#pragma once
// A training job as a ReplayInput: the schedule's actions written as stream programs for every
// pipeline rank, messages between stages, the optimizer at the end, every rank in its place.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "replay/program.hpp"
#include "training/piece.hpp"
#include "training/pricing.hpp"
#include "training/schedule.hpp"
#include "training/training_spec.hpp"

namespace orrery {

// Stages a pipeline rank holds, each once, in ascending order.
std::vector<std::size_t> held_stages(const PipelineSchedule& schedule, int pipeline_rank);
// How many pipeline ranks hold the same stage: 2 in a bidirectional schedule, else 1.
std::int64_t stage_copies(const PipelineSchedule& schedule);
PlacementShape placement_shape(const TrainingSpec& spec, bool mirrored);

class JobBuilder {
  public:
    JobBuilder(const TrainingSpec& spec, const PipelineSchedule& schedule, Pricing& pricing);
    // Fills programs, messages, ranks. Call once.
    const ReplayInput& build();
    const PieceFactory& pieces() const { return pieces_; }

  private:
    static constexpr std::uint32_t kNoSlot = UINT32_MAX;
    void price_send();
    void number_slots();
    RankProgram program_of(int pipeline_rank);
    void write_action(RankProgram& program, int pipeline_rank, const Action& action,
                      std::uint32_t index);
    void write_receives(RankProgram& program, int pipeline_rank, const Action& action);
    void write_sends(RankProgram& program, int pipeline_rank, const Action& action);
    void write_optimizer(RankProgram& program, int pipeline_rank);
    void send(RankProgram& program, int from, int to, std::uint32_t slot, std::string label);
    std::uint32_t& slot(bool forward, int micro_batch, int stage);
    void place_ranks();
    void place_experts(RankPlace& place, const PlacementShape& shape, std::int64_t dp_index) const;

    const TrainingSpec& spec_;
    const PipelineSchedule& schedule_;
    Pricing& pricing_;
    ReplayInput input_;
    PieceFactory pieces_;
    std::vector<std::uint32_t> slots_;       // [pass][micro-batch][stage], at the receiving rank
    std::vector<std::uint32_t> slot_count_;  // by pipeline rank
    std::int64_t send_ps_ = 0;
    SharedTransfer send_transfer_;
    std::set<std::pair<int, int>> sends_;  // pipeline ranks that send to one another
    std::uint32_t receive_label_ = 0;
};

}  // namespace orrery
