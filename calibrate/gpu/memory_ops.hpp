#pragma once
// Subjects for the memory-bound kernels of kernels/.

#include <cstdint>
#include <memory>
#include <string>

#include <cuda_bf16.h>

#include "calibrate/gpu/device.hpp"
#include "calibrate/gpu/measure.hpp"
#include "calibrate/shapes.hpp"

namespace orrery::calibrate {

// Operands of one call. x: BF16; x2: the second BF16 operand (SwiGLU's gate and up, what is added,
// a norm's input); y: a norm's gains; q: E4M3; f: scales written (casts) or read (cast_back),
// weights, sines; index as memory_index() makes it.
struct MemoryOperands {
    const __nv_bfloat16 *x, *x2, *y;
    const std::uint8_t* q;
    float* f;
    char* out;
    const std::int32_t* index;
};
void launch_memory(const MemoryCase& c, const MemoryOperands& o, cudaStream_t stream);
// Row numbers that the kind reads through; null where it has none.
std::shared_ptr<Buffer> memory_index(const MemoryCase& c);
// Floats of `f` one call takes.
std::int64_t memory_floats(const MemoryCase& c);

// A subject running `c` on operands in the device's arena, rotating over sets.
Subject memory_subject(const Device& device, const MemoryCase& c);
// "rms_norm 4096x7168"
std::string describe(const MemoryCase& c);

}  // namespace orrery::calibrate
