#pragma once
// Operators to exact durations: asks the operator time model once per distinct (operator,
// conditions) and keeps what it learned, so that origins and rules can be reported.

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "collective/communication_cost.hpp"
#include "core/run_result.hpp"
#include "core/time.hpp"
#include "hardware/operator_time.hpp"
#include "replay/program.hpp"
#include "training/placement.hpp"
#include "training/routed_experts.hpp"

namespace orrery {

// An operator runs in a chunk of its own with every SM, or in an overlapped pair, where GEMMs leave
// the communication kernel its SMs throughout, and everything else takes what is free.
enum class ChunkKind : std::uint8_t { alone, overlapped };

class Pricing {
  public:
    Pricing(const OperatorTimeModel& compute, const CommunicationCost& communication,
            const PlacementShape& placement, const Conditions& conditions,
            std::int64_t communication_sms, const RoutedExperts* experts = nullptr);

    // Durations of a compute operator in every environment. Not noted: one of many that differ in
    // their rows alone; the balanced one speaks for them in sources and missing shapes.
    const OperatorDurations& durations(const Operator& op, ChunkKind chunk, bool noted = true);
    // A communication: its duration once all have arrived, and the environments of its members.
    // `draw`: of routed experts.
    CollectiveSpec collective(const Operator& op, std::int32_t draw = 0);
    SimDuration send(const Operator& op);
    // From now on collectives say what they load on the links that they share.
    void share_links() { shares_links_ = true; }

    // Null or experts whose all-to-all and rows come from counted tokens.
    const RoutedExperts* experts() const { return experts_; }
    int environments() const { return static_cast<int>(loads_.size()); }
    Origin weakest_origin() const { return weakest_; }
    // One line a rule: "gemm: table ..., interpolated", with the operators it priced.
    std::vector<SourceUsed> sources() const;
    // Operators that no row of a table is near, refused ones included: entries of the file that
    // `orrery-calibrate --missing` reads, in order.
    std::vector<std::string> missing_shapes() const { return {missing_.begin(), missing_.end()}; }
    // Throws MissingShapesError where an operator has no price; such ones count nothing till then.
    void check_all_priced() const;

  private:
    struct Rule {
        Origin origin = Origin::measured;
        std::int64_t operators = 0;
        double spread = 0;
    };
    std::uint8_t environment(const CommunicationLoad& load);
    CommunicationEstimate estimate(const Communication& shape, std::int32_t draw) const;
    void note(const std::string& subject, const std::string& rule, Origin origin, double spread);
    // `covered`: whether tables have it is looked up, too.
    Seconds alone(const Operator& op, const Conditions& conditions, bool noted, bool covered);

    const OperatorTimeModel& compute_;
    const CommunicationCost& communication_;
    PlacementShape placement_;
    Conditions conditions_;  // whose SMs are not looked at
    std::int64_t communication_sms_;
    const RoutedExperts* experts_;
    bool shares_links_ = false;
    std::vector<CommunicationLoad> loads_;  // by environment; [0] is none
    using Key = std::pair<decltype(Operator::shape), ChunkKind>;
    std::map<Key, OperatorDurations> durations_;
    std::map<std::pair<std::string, std::string>, Rule> rules_;
    Origin weakest_ = Origin::measured;
    std::set<std::string> missing_;
    std::vector<std::string> refused_;  // what the time model said, once an operator and condition
};

}  // namespace orrery
