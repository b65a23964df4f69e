#pragma once
// The job's expert all-to-alls and expert rows from counted tokens: what `routing` and
// `network.expert_all_to_all` of a scenario bring to a step.
//
//   drawn     `draws` outcomes of the model's gate for one expert group are counted token by token;
//             layer l of micro-batch m takes draw hash(seed, l, m) mod draws in the first expert
//             group of a pipeline rank, and the g-th takes the g-th draw after that. A backward
//             takes its forward's. Ranks then differ in rows, so in time.
//   balanced  every rank has the same rows; who sends to whom is the gate's outcome on uniform
//             affinities with every difference between ranks averaged out (DeepSeek-V3's gate: 3.95
//             nodes a token, where drawing 4 nodes first and experts within them gives 3.63)
//
// Left out: that neighbouring layers and micro-batches of one document choose similar experts.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collective/communication_cost.hpp"
#include "collective/expert_all_to_all.hpp"
#include "model/lowering.hpp"
#include "replay/shared_network.hpp"
#include "training/placement.hpp"
#include "training/training_spec.hpp"

namespace orrery {

class RoutedExperts {
  public:
    // Throws InputError: drawn routing of a model without experts, of layers whose gates differ, or
    // beside tensor parallelism; counted tokens on a cluster without the costs for it.
    RoutedExperts(const TrainingSpec& spec, const PlacementShape& shape);

    bool timed() const { return exchange_.has_value(); }  // else by published rates
    bool rows_differ() const { return drawn_; }
    // Distinct outcomes; 1 where routing is balanced.
    std::int32_t draws() const { return drawn_ ? static_cast<std::int32_t>(traffic_.size()) : 1; }
    std::int32_t members() const { return ranks_; }
    std::int32_t draw_of(std::int64_t layer, std::int64_t micro_batch) const;
    // How many draws after the first group's an expert group of the pipeline rank takes.
    std::int32_t shift_of(std::int64_t group) const {
        return static_cast<std::int32_t>(group % draws());
    }
    const RoutedRows& rows(std::int32_t draw, std::int32_t member) const;
    const ExpertTraffic& traffic(std::int32_t draw) const;
    // Standard deviation of rows over ranks and draws, over their mean.
    double row_spread() const;
    double mean_nodes() const;  // of a token; 0 where nothing is counted

    // A dispatch or combine, notify included, once all members have arrived.
    CommunicationEstimate time(const Communication& op, std::int32_t draw) const;
    // The same as a transfer on shared links: bytes are those of the busiest rank's NIC (inside a
    // node, of its NVLink), each rank's message to a node weighs like any other message.
    SharedTransfer transfer(const Communication& op, std::int32_t draw) const;
    // Tokens that `transfer` counts as its bytes.
    double reference_tokens(std::int32_t draw) const;

  private:
    void count(const TrainingSpec& spec, const MoeSpec& moe, const RoutingGroup& group);

    std::int32_t ranks_ = 1;
    bool drawn_ = false, notify_ = true;
    ExpertVersion version_ = ExpertVersion::v2025_06;
    std::int32_t sms_ = 0;
    std::uint64_t seed_ = 1;
    std::vector<ExpertTraffic> traffic_;  // by draw
    std::vector<RoutedRows> rows_;        // [draw x members + member]
    std::optional<ExpertAllToAll> exchange_;
};

// The same mean counts on every rank: own rank, other ranks of the node, other nodes.
ExpertTraffic evened(const ExpertTraffic& traffic, std::int64_t tokens);

}  // namespace orrery
