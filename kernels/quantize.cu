#include "kernels/common.cuh"
#include "kernels/quantize.hpp"

namespace orrery::kernels {
namespace {

// 8 lanes hold one group of 128 values, 16 a lane. A block of 256 threads takes 8 rows x 4 groups,
// so that the transposed scales of a group are written in whole 32-byte sectors.
__global__ __launch_bounds__(256) void cast(const Bf16* __restrict__ x,
                                            std::uint8_t* __restrict__ q,
                                            float* __restrict__ scales, std::int64_t rows,
                                            std::int64_t columns) {
    const int lane = int(threadIdx.x) % 8, group_in_block = int(threadIdx.x) / 8 % 4;
    const std::int64_t row = std::int64_t(blockIdx.y) * 8 + threadIdx.x / 32;
    const std::int64_t group = std::int64_t(blockIdx.x) * 4 + group_in_block;
    const bool inside = group * 128 < columns;
    const std::int64_t at = row * columns + group * 128 + lane * 16;
    float a[8] = {}, b[8] = {};
    if (inside) {
        load8(x + at, a);
        load8(x + at + 8, b);
    }
    float amax = 1e-10f;
#pragma unroll
    for (int i = 0; i < 8; ++i) amax = fmaxf(amax, fmaxf(fabsf(a[i]), fabsf(b[i])));
    amax = lane_max<8>(amax);
    if (!inside) return;
    const float inverse = kE4m3Max / amax;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        a[i] *= inverse;
        b[i] *= inverse;
    }
    *reinterpret_cast<uint4*>(q + at) =
        make_uint4(pack_e4m3(a[0], a[1], a[2], a[3]), pack_e4m3(a[4], a[5], a[6], a[7]),
                   pack_e4m3(b[0], b[1], b[2], b[3]), pack_e4m3(b[4], b[5], b[6], b[7]));
    if (lane == 0) scales[group * rows + row] = amax / kE4m3Max;
}

constexpr int kTileStride = 132;  // bytes of a transposed row of 128 in shared memory, padded

// Writes a transposed tile of kColumns rows of 128 bytes to y, 16 bytes a thread and turn.
template <int kColumns>
__device__ inline void store_tile(const std::uint8_t (&tile)[kColumns * kTileStride],
                                  std::uint8_t* y, std::int64_t first_row,
                                  std::int64_t first_column, std::int64_t rows) {
#pragma unroll
    for (int i = 0; i < kColumns * 8 / 256; ++i) {
        const int vector = int(threadIdx.x) + i * 256, column = vector / 8, part = vector % 8;
        const std::uint32_t* from =
            reinterpret_cast<const std::uint32_t*>(tile + column * kTileStride + part * 16);
        *reinterpret_cast<uint4*>(y + (first_column + column) * rows + first_row + part * 16) =
            make_uint4(from[0], from[1], from[2], from[3]);
    }
}

// Tile of 128 rows x 64 columns; a thread holds 4 neighbouring rows of 8 columns.
__global__ __launch_bounds__(256) void cast_tile(const Bf16* __restrict__ x,
                                                 std::uint8_t* __restrict__ q,
                                                 float* __restrict__ scales, std::int64_t rows,
                                                 std::int64_t columns) {
    __shared__ float column_max[8][64];
    __shared__ alignas(16) std::uint8_t tile[64 * kTileStride];
    const int row_group = int(threadIdx.x) / 8, column_group = int(threadIdx.x) % 8;
    const std::int64_t first_row = std::int64_t(blockIdx.y) * 128,
                       first_column = std::int64_t(blockIdx.x) * 64;
    float v[4][8];
#pragma unroll
    for (int r = 0; r < 4; ++r)
        load8(x + (first_row + row_group * 4 + r) * columns + first_column + column_group * 8,
              v[r]);
    float amax[8];
#pragma unroll
    for (int c = 0; c < 8; ++c) {
        amax[c] =
            fmaxf(fmaxf(fabsf(v[0][c]), fabsf(v[1][c])), fmaxf(fabsf(v[2][c]), fabsf(v[3][c])));
        amax[c] = fmaxf(amax[c], __shfl_xor_sync(0xffffffffu, amax[c], 8));
        amax[c] = fmaxf(amax[c], __shfl_xor_sync(0xffffffffu, amax[c], 16));
        if (threadIdx.x % 32 < 8) column_max[threadIdx.x / 32][column_group * 8 + c] = amax[c];
    }
    __syncthreads();
#pragma unroll
    for (int c = 0; c < 8; ++c) {
        float m = 1e-10f;
#pragma unroll
        for (int w = 0; w < 8; ++w) m = fmaxf(m, column_max[w][column_group * 8 + c]);
        const float s = kE4m3Max / m;
        *reinterpret_cast<std::uint32_t*>(tile + (column_group * 8 + c) * kTileStride +
                                          row_group * 4) =
            pack_e4m3(v[0][c] * s, v[1][c] * s, v[2][c] * s, v[3][c] * s);
        if (row_group == 0)
            scales[blockIdx.y * columns + first_column + column_group * 8 + c] = m / kE4m3Max;
    }
    __syncthreads();
    store_tile<64>(tile, q, first_row, first_column, rows);
}

// Tile of 128 x 128 bytes; a thread holds 4 neighbouring rows of 16 columns.
__global__ __launch_bounds__(256) void transpose_tile(const std::uint8_t* __restrict__ x,
                                                      std::uint8_t* __restrict__ y,
                                                      std::int64_t rows, std::int64_t columns) {
    __shared__ alignas(16) std::uint8_t tile[128 * kTileStride];
    const int row_group = int(threadIdx.x) / 8, column_group = int(threadIdx.x) % 8;
    const std::int64_t first_row = std::int64_t(blockIdx.y) * 128,
                       first_column = std::int64_t(blockIdx.x) * 128;
    uint4 v[4];
#pragma unroll
    for (int r = 0; r < 4; ++r)
        v[r] = *reinterpret_cast<const uint4*>(x + (first_row + row_group * 4 + r) * columns +
                                               first_column + column_group * 16);
    const std::uint32_t* words[4];
#pragma unroll
    for (int r = 0; r < 4; ++r) words[r] = reinterpret_cast<const std::uint32_t*>(&v[r]);
#pragma unroll
    for (int w = 0; w < 4; ++w) {
        // 4 x 4 bytes turned with byte permutes: low and high halves of row pairs first.
        const std::uint32_t a = __byte_perm(words[0][w], words[1][w], 0x5140),
                            b = __byte_perm(words[2][w], words[3][w], 0x5140),
                            c = __byte_perm(words[0][w], words[1][w], 0x7362),
                            d = __byte_perm(words[2][w], words[3][w], 0x7362);
        const std::uint32_t turned[4] = {__byte_perm(a, b, 0x5410), __byte_perm(a, b, 0x7632),
                                         __byte_perm(c, d, 0x5410), __byte_perm(c, d, 0x7632)};
#pragma unroll
        for (int j = 0; j < 4; ++j)
            *reinterpret_cast<std::uint32_t*>(tile + (column_group * 16 + w * 4 + j) * kTileStride +
                                              row_group * 4) = turned[j];
    }
    __syncthreads();
    store_tile<128>(tile, y, first_row, first_column, rows);
}

__global__ __launch_bounds__(256) void uncast(const std::uint8_t* __restrict__ q,
                                              const float* __restrict__ scales,
                                              Bf16* __restrict__ x, std::int64_t rows,
                                              std::int64_t columns) {
    const std::int64_t vector = std::int64_t(blockIdx.x) * 256 + threadIdx.x;
    if (vector * 16 >= rows * columns) return;
    const std::int64_t row = vector * 16 / columns, group = vector * 16 % columns / 128;
    const uint4 raw = reinterpret_cast<const uint4*>(q)[vector];
    const float s = scales[group * rows + row];
    const std::uint16_t* pairs = reinterpret_cast<const std::uint16_t*>(&raw);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        float f[8];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const float2 v = unpack_e4m3(pairs[half * 4 + i]);
            f[2 * i] = v.x * s;
            f[2 * i + 1] = v.y * s;
        }
        store8(x + vector * 16 + half * 8, f);
    }
}

}  // namespace

void cast_fp8(const Bf16* x, std::uint8_t* q, float* scales, std::int64_t rows,
              std::int64_t columns, cudaStream_t stream) {
    const dim3 grid(blocks_for(columns, 512), unsigned(rows / 8));
    cast<<<grid, 256, 0, stream>>>(x, q, scales, rows, columns);
}
void cast_transpose(const Bf16* x, std::uint8_t* q, float* scales, std::int64_t rows,
                    std::int64_t columns, cudaStream_t stream) {
    const dim3 grid(unsigned(columns / 64), unsigned(rows / 128));
    cast_tile<<<grid, 256, 0, stream>>>(x, q, scales, rows, columns);
}
void transpose_bytes(const std::uint8_t* x, std::uint8_t* y, std::int64_t rows,
                     std::int64_t columns, cudaStream_t stream) {
    const dim3 grid(unsigned(columns / 128), unsigned(rows / 128));
    transpose_tile<<<grid, 256, 0, stream>>>(x, y, rows, columns);
}
void cast_back(const std::uint8_t* q, const float* scales, Bf16* x, std::int64_t rows,
               std::int64_t columns, cudaStream_t stream) {
    uncast<<<blocks_for(rows * columns, 4096), 256, 0, stream>>>(q, scales, x, rows, columns);
}

}  // namespace orrery::kernels
