#pragma once
// Kernels that serve measuring, not the model: random operands, SM clock, L2 flush, placement.

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace orrery::kernels {

enum class Fill { bf16_normal, e4m3_normal, float_scale };  // float_scale: 0.5 .. 2

// Fills n elements: normal values of deviation 1 (BF16) or 112 (E4M3: four deviations reach 448).
// Never NaN. The same seed gives the same values.
void fill_random(void* to, std::int64_t n, Fill kind, std::uint64_t seed, cudaStream_t stream);

// Spins for `nanoseconds` on one SM and writes {SM cycles, nanoseconds} between two ticks of the
// global timer to result[0..1]: the SM clock is their ratio.
void probe_clock(std::uint64_t* result, std::int64_t nanoseconds, cudaStream_t stream);

// Reads n bytes so that L2 holds clean lines of somebody else.
void flush_l2(const void* buffer, std::int64_t n, float* sink, cudaStream_t stream);

// Writes the SM number of every CTA of `clusters` clusters of `cluster_size` CTAs that each own an
// SM (200 KiB of shared memory) to sm[cluster * cluster_size + rank]. Returns cudaGetLastError().
cudaError_t probe_clusters(std::int32_t* sm, int clusters, int cluster_size, cudaStream_t stream);

}  // namespace orrery::kernels
