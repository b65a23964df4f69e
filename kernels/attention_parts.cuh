#pragma once
// What the attention kernels share: boxes of tokens through TMA, BF16 pairs, powers of two.

#include "kernels/attention_wgmma.cuh"
#include "kernels/common.cuh"
#include "kernels/tensor_map.cuh"

namespace orrery::kernels {

constexpr float kLog2e = 1.4426950408889634f;

// A box of [column, token, sequence] into shared memory.
__device__ __forceinline__ void copy_tokens(std::uint32_t to, const CUtensorMap* map, int column,
                                            int token, int sequence, std::uint32_t barrier) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5}], [%2];" ::"r"(to),
        "l"(map), "r"(barrier), "r"(column), "r"(token), "r"(sequence)
        : "memory");
}
// kPanels panels of kRows tokens, signalling `barrier`, which expects their bytes from elsewhere.
template <int kPanels, int kRows>
__device__ __forceinline__ void copy_panels(std::uint32_t to, const CUtensorMap* map, int column,
                                            int token, int sequence, std::uint32_t barrier) {
#pragma unroll
    for (int i = 0; i < kPanels; ++i)
        copy_tokens(to + i * kRows * kPanelRowBytes, map, column + i * kPanelColumns, token,
                    sequence, barrier);
}

__device__ __forceinline__ float power_of_two(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ std::uint32_t pack(float a, float b) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
}

// Lanes of a quad exchange words so that each holds 16 neighbouring bytes.
__device__ __forceinline__ void gather_in_quad(std::uint32_t (&w)[4], int q) {
#pragma unroll
    for (int step = 1; step <= 2; step *= 2)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            if (j & step) continue;
            const bool high = q & step;
            const std::uint32_t got = __shfl_xor_sync(0xffffffffu, high ? w[j] : w[j | step], step);
            w[j] = high ? got : w[j];
            w[j | step] = high ? w[j | step] : got;
        }
}

// Boxes of `rows` tokens x 64 values of [sequences, tokens, columns]; what is beyond a sequence's
// tokens reads as zero.
inline cudaError_t make_token_map(CUtensorMap& map, const void* data, std::int64_t sequences,
                                  std::int64_t tokens, std::int64_t columns, int rows) {
    const cuuint64_t sizes[3] = {cuuint64_t(columns), cuuint64_t(tokens), cuuint64_t(sequences)};
    const cuuint64_t strides[2] = {cuuint64_t(columns) * 2, cuuint64_t(columns * tokens) * 2};
    const cuuint32_t box[3] = {kPanelColumns, cuuint32_t(rows), 1};
    return encode_map(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, data, sizes, strides, box);
}

}  // namespace orrery::kernels
