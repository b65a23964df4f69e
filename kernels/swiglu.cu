#include "kernels/common.cuh"
#include "kernels/swiglu.hpp"

namespace orrery::kernels {
namespace {

__device__ inline float sigmoid(float g) { return 1.f / (1.f + __expf(-g)); }

// As quantize.cu's cast: 8 lanes a group of 128 values, 8 rows x 4 groups a block.
__global__ __launch_bounds__(256) void forward(const Bf16* __restrict__ gate_up,
                                               std::uint8_t* __restrict__ q,
                                               float* __restrict__ scales, std::int64_t rows,
                                               std::int64_t columns) {
    const int lane = int(threadIdx.x) % 8, group_in_block = int(threadIdx.x) / 8 % 4;
    const std::int64_t row = std::int64_t(blockIdx.y) * 8 + threadIdx.x / 32;
    const std::int64_t group = std::int64_t(blockIdx.x) * 4 + group_in_block;
    const bool inside = group * 128 < columns;
    const std::int64_t column = group * 128 + lane * 16;
    float h[2][8] = {};
    if (inside) {
        float g[2][8], u[2][8];
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            load8(gate_up + row * 2 * columns + column + i * 8, g[i]);
            load8(gate_up + row * 2 * columns + columns + column + i * 8, u[i]);
        }
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
            for (int j = 0; j < 8; ++j) h[i][j] = g[i][j] * sigmoid(g[i][j]) * u[i][j];
    }
    float amax = 1e-10f;
#pragma unroll
    for (int j = 0; j < 8; ++j) amax = fmaxf(amax, fmaxf(fabsf(h[0][j]), fabsf(h[1][j])));
    amax = lane_max<8>(amax);
    if (!inside) return;
    const float s = kE4m3Max / amax;
    std::uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < 2; ++j)
            words[i * 2 + j] = pack_e4m3(h[i][j * 4] * s, h[i][j * 4 + 1] * s, h[i][j * 4 + 2] * s,
                                         h[i][j * 4 + 3] * s);
    *reinterpret_cast<uint4*>(q + row * columns + column) =
        make_uint4(words[0], words[1], words[2], words[3]);
    if (lane == 0) scales[group * rows + row] = amax / kE4m3Max;
}

__global__ __launch_bounds__(256) void backward(const Bf16* __restrict__ dh,
                                                const Bf16* __restrict__ gate_up,
                                                Bf16* __restrict__ d_gate_up, std::int64_t rows,
                                                std::int64_t columns) {
    const std::int64_t vector = std::int64_t(blockIdx.x) * 256 + threadIdx.x;
    if (vector * 8 >= rows * columns) return;
    const std::int64_t row = vector * 8 / columns, column = vector * 8 % columns;
    const std::int64_t gate_at = row * 2 * columns + column, up_at = gate_at + columns;
    float d[8], g[8], u[8];
    load8(dh + vector * 8, d);
    load8(gate_up + gate_at, g);
    load8(gate_up + up_at, u);
#pragma unroll
    for (int j = 0; j < 8; ++j) {
        const float s = sigmoid(g[j]), silu = g[j] * s;
        const float d_up = d[j] * silu;
        g[j] = d[j] * u[j] * (s + silu * (1.f - s));
        u[j] = d_up;
    }
    store8(d_gate_up + gate_at, g);
    store8(d_gate_up + up_at, u);
}

}  // namespace

void swiglu(const Bf16* gate_up, std::uint8_t* q, float* scales, std::int64_t rows,
            std::int64_t columns, cudaStream_t stream) {
    const dim3 grid(blocks_for(columns, 512), unsigned(rows / 8));
    forward<<<grid, 256, 0, stream>>>(gate_up, q, scales, rows, columns);
}
void swiglu_backward(const Bf16* dh, const Bf16* gate_up, Bf16* d_gate_up, std::int64_t rows,
                     std::int64_t columns, cudaStream_t stream) {
    backward<<<blocks_for(rows * columns, 2048), 256, 0, stream>>>(dh, gate_up, d_gate_up, rows,
                                                                   columns);
}

}  // namespace orrery::kernels
