#pragma once
// Operators of an engine to seconds, alone and beside its all-to-all kernels.
//
// environment 0: alone. 1: beside dispatch. 2: beside combine. In an iteration of two micro-batches
// with the normal all-to-all, GEMMs leave its kernel S SMs throughout and everything else takes
// what is free; the contention surface says how much slower each class runs meanwhile.

#include <array>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "collective/communication_cost.hpp"
#include "core/run_result.hpp"
#include "hardware/operator_time.hpp"
#include "serving/engine_spec.hpp"

namespace orrery {

inline constexpr int kPhaseEnvironments = 3;
// Seconds of a run of operators in each environment.
struct PhaseTime {
    std::array<double, kPhaseEnvironments> seconds{};
    PhaseTime& operator+=(const PhaseTime& other) {
        for (std::size_t e = 0; e < seconds.size(); ++e) seconds[e] += other.seconds[e];
        return *this;
    }
    double alone() const { return seconds[0]; }
};

// How a phase runs: SMs held by the all-to-all kernel (0: none), device-memory traffic it causes,
// and the idle time behind each kernel.
struct PhaseConditions {
    Seconds gap = Seconds(0);
    std::int64_t held_sms = 0;
    BytesPerSecond dispatch_traffic = BytesPerSecond(0), combine_traffic = BytesPerSecond(0);
    bool decoding = false;  // beside no prompts: the load is a decoding layer's
};

class KernelPrices {
  public:
    KernelPrices(const EngineSpec& spec, const OperatorTimeModel& compute);

    PhaseTime price(const std::vector<Operator>& operators, const PhaseConditions& conditions);
    Seconds communication(const Operator& op);
    // Kernels of a list, launches of runs of small ones counted each.
    static std::int64_t launches(const std::vector<Operator>& operators);

    Origin weakest_origin() const { return weakest_; }
    void note(const std::string& subject, const std::string& rule, Origin origin, double spread);
    std::vector<SourceUsed> sources() const;
    // Throws MissingShapesError where an operator had no price; such ones count nothing till then.
    void check_all_priced() const;

  private:
    Seconds alone(const Operator& op, std::int64_t sms, bool decoding);

    struct Rule {
        Origin origin = Origin::measured;
        std::int64_t operators = 0;
        double spread = 0;
    };
    const EngineSpec& spec_;
    const OperatorTimeModel& compute_;
    CommunicationCost cost_;
    using Shape = decltype(Operator::shape);
    std::map<std::tuple<Shape, std::int64_t, bool>, double> alone_;  // shape, SMs, decoding
    std::map<std::pair<std::string, std::string>, Rule> rules_;
    std::set<std::string> refused_, missing_;
    Origin weakest_ = Origin::measured;
};

}  // namespace orrery
