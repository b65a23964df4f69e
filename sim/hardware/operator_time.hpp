#pragma once
// How long an operator takes on an accelerator: measured points interpolated, else roofline times a
// sourced efficiency, else refused with the missing shapes listed.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/quantity.hpp"
#include "core/sourced.hpp"
#include "hardware/accelerator_profile.hpp"
#include "hardware/gpu_pace.hpp"
#include "hardware/kernel_table.hpp"
#include "hardware/operator.hpp"

namespace orrery {

// burst: short runs at full clock. sustained: continuous load of a training or prefill layer's
// kernels, clock settled under the power limit. decoding: continuous load of a decoding layer's.
enum class Clock : std::uint8_t { burst, sustained, decoding };

struct Conditions {
    std::int64_t sms = 0;  // SMs the operator may use; 0 = all
    Clock clock = Clock::burst;
    // Not in a burst: the time of the slowest of this many GPUs of the kind, which meet after each
    // phase (hardware/gpu_pace.hpp); 0: of the very GPU the tables were measured on.
    std::int64_t gpus = 0;
};

struct Estimate {
    Seconds time;
    Origin origin = Origin::assumed;  // weakest number underneath
    double spread = 0;  // relative uncertainty (leave-one-out error of the table), 1 = 100 %
    std::string rule;   // "gemm table fp8_block, interpolated", "roofline x 0.85", ...
};

// A communication kernel running beside an operator.
struct CommunicationLoad {
    std::int64_t sms = 0;
    BytesPerSecond bandwidth;  // device-memory traffic it causes; 0 while it only waits
};

// Relative errors of a table's points as read from the others (leave-one-out).
struct TableError {
    std::string table;  // "gemm fp8_block"
    Provenance from;
    ErrorSummary errors;
};

class OperatorTimeModel {
  public:
    explicit OperatorTimeModel(AcceleratorProfile profile);
    ~OperatorTimeModel();
    OperatorTimeModel(OperatorTimeModel&&) noexcept;

    // Time of a compute operator alone on conditions.sms SMs, operands from device memory. Throws
    // SimulationError for a communication, MissingShapesError where the profile has nothing for the
    // class.
    Estimate time(const Operator& op, const Conditions& conditions) const;
    // Has some table of the profile a row near the operator (hardware/coverage.hpp)?
    bool near(const Operator& op, const Conditions& conditions) const;
    // Time beside a communication kernel over time alone on the same SMs, >= 1.
    Sourced<Ratio> slowdown(OperatorClass c, const CommunicationLoad& load) const;
    const AcceleratorProfile& profile() const;
    const GpuPace& pace() const;
    std::vector<TableError> leave_one_out() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace orrery
