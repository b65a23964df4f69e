#pragma once
// Holds streams back so that work queued on several GPUs starts together and back to back.

#include <cstdint>

#include <cuda_runtime_api.h>

namespace orrery::kernels {

// One thread that spins until *open (host memory the GPU sees) is not zero, at most `longest_ns`.
void wait_gate(const int* open, std::int64_t longest_ns, cudaStream_t stream);

}  // namespace orrery::kernels
