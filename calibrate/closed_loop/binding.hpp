#pragma once
// Which kernel an operator of the layer runs as, and on which buffers.
//
// GEMMs run on cuBLASLt, grouped GEMMs and memory-bound operators on the kernels of kernels/,
// attention on cuDNN. A memory-bound operator runs its kind's kernel over as many rows as make the
// operator's bytes: where DeepSeek fuses more into a kernel than ours (a residual written beside a
// norm, SwiGLU's output beside its gradient, a gather before a transpose), the traffic is the
// operator's and the arithmetic is ours. An operator of n launches runs n kernels with its bytes
// together. dO.O and the conversion of dQ are kernels of cuDNN's backward call.

#include <string>
#include <string_view>
#include <vector>

#include "calibrate/shapes.hpp"
#include "hardware/operator.hpp"

namespace orrery::closed_loop {

// Buffers by name, so that what an operator reads is what an earlier one has just written. An input
// that nobody writes arrives by communication, or stands for a weight or a cached activation.
struct Wiring {
    std::string in, in2, out;  // in2: second operand, empty where there is none
};
// Throws InputError for an operator that this layer does not have.
Wiring wiring(std::string_view operator_name);

// The kernels a memory-bound operator runs as, in order; empty where another operator's call holds
// them (attention's helpers).
std::vector<calibrate::MemoryCase> kernel_cases(const MemoryOp& op);

// Name of the operator whose time holds this one's: itself, but for attention's helpers.
std::string_view holder(std::string_view operator_name);

}  // namespace orrery::closed_loop
