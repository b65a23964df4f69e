#pragma once
// A copy by a set number of SMs (operator copy; send_recv of a kernel that owns its SMs).

#include <cstdint>

#include <cuda_runtime_api.h>

namespace orrery::kernels {

// to[i] = from[i] for `bytes` (a multiple of 16) by `ctas` CTAs of 640 threads, one an SM; either
// side may be another GPU's memory with peer access enabled. Ends when the writes are visible
// everywhere.
void copy_by_sms(const void* from, void* to, std::int64_t bytes, int ctas, cudaStream_t stream);

}  // namespace orrery::kernels
