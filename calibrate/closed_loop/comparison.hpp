#pragma once
// The layer as it ran on a GPU beside the simulator's replay of the same programs.
//
//   wall            what CUDA events around the program measured | makespan of the replay
//   kernels         sum of the kernels' times in the program     | sum of the prices
//   idle            wall - kernels: launch gaps, and in a pair waiting for communication
//   from this card  the replay again with every price replaced by what the same kernel took alone
//                   on this card on the same day (operands from device memory, full clock): its
//                   error is that of putting operators together, the rest is that of the prices

#include <string>
#include <vector>

#include "calibrate/closed_loop/layer_program.hpp"
#include "calibrate/closed_loop/measured_loop.hpp"

namespace orrery::closed_loop {

struct OperatorComparison {
    std::string run, name, operator_class;
    int times = 0;            // in the run
    double measured_us = 0;   // kernel time in the program, all times together
    double predicted_us = 0;  // price, the launch gap left out
    double alone_us = 0;      // on this card, alone; 0 for communication
};
struct RunComparison {
    std::string run, clock;
    double measured_us = 0, predicted_us = 0;
    double from_card_us = 0;                                   // burst only, 0 else
    double measured_kernels_us = 0, predicted_kernels_us = 0;  // of the compute stream
    double clock_mhz = 0, power_w = 0, spread = 0;
    std::vector<OperatorComparison> operators;

    double error() const { return predicted_us / measured_us - 1; }
    double from_card_error() const { return from_card_us / measured_us - 1; }
};

// Rows F, B, W, F+B+W and F&B, each in burst and sustained. Throws InputError where the file does
// not hold this layer's operators.
std::vector<RunComparison> compare(const MeasuredLoop& measured, const ModelSpec& model,
                                   const OperatorTimeModel& compute,
                                   const CommunicationCost& communication);

// Markdown: walls, classes of operators, the operators that miss most.
std::string comparison_text(const MeasuredLoop& measured, const std::string& profile,
                            const std::vector<RunComparison>& runs);

}  // namespace orrery::closed_loop
