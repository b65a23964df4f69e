#include "kernels/common.cuh"
#include "kernels/gate.hpp"

namespace orrery::kernels {
namespace {

__global__ void gate_kernel(const volatile int* open, std::int64_t longest_ns) {
    const std::uint64_t begin = global_nanoseconds();
    while (*open == 0 && std::int64_t(global_nanoseconds() - begin) < longest_ns) {
    }
}

}  // namespace

void wait_gate(const int* open, std::int64_t longest_ns, cudaStream_t stream) {
    gate_kernel<<<1, 1, 0, stream>>>(open, longest_ns);
}

}  // namespace orrery::kernels
