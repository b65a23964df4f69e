#include "kernels/common.cuh"
#include "kernels/norm.hpp"

namespace orrery::kernels {
namespace {

constexpr int kBackwardBlocks = 132 * 4;

// One block a row; a thread holds kVectors vectors of 8 values, blockDim.x * 8 values apart.
template <int kVectors>
__global__ void forward(const Bf16* __restrict__ x, const Bf16* __restrict__ w,
                        Bf16* __restrict__ y, float* __restrict__ rstd, std::int64_t hidden) {
    const std::int64_t row = blockIdx.x;
    const int stride = int(blockDim.x) * 8, first = int(threadIdx.x) * 8;
    float v[kVectors][8];
#pragma unroll
    for (int i = 0; i < kVectors; ++i) load8(x + row * hidden + first + i * stride, v[i]);
    float squares = 0;
#pragma unroll
    for (int i = 0; i < kVectors; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j) squares += v[i][j] * v[i][j];
    const float r = rsqrtf(block_sum(squares) / float(hidden) + 1e-6f);
    if (threadIdx.x == 0) rstd[row] = r;
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
        float g[8];
        load8(w + first + i * stride, g);
#pragma unroll
        for (int j = 0; j < 8; ++j) g[j] *= v[i][j] * r;
        store8(y + row * hidden + first + i * stride, g);
    }
}

template <int kVectors>
__global__ void backward(const Bf16* __restrict__ dy, const Bf16* __restrict__ x,
                         const Bf16* __restrict__ w, const float* __restrict__ rstd,
                         Bf16* __restrict__ dx, float* __restrict__ partial, std::int64_t rows,
                         std::int64_t hidden) {
    const int stride = int(blockDim.x) * 8, first = int(threadIdx.x) * 8;
    float dw[kVectors][8] = {};
    for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        float a[kVectors][8], b[kVectors][8];
#pragma unroll
        for (int i = 0; i < kVectors; ++i) {
            load8(dy + row * hidden + first + i * stride, a[i]);
            load8(x + row * hidden + first + i * stride, b[i]);
        }
        const float r = rstd[row];
        float dot = 0;
#pragma unroll
        for (int i = 0; i < kVectors; ++i) {
            float g[8];
            load8(w + first + i * stride, g);
#pragma unroll
            for (int j = 0; j < 8; ++j) {
                b[i][j] *= r;
                dw[i][j] += a[i][j] * b[i][j];
                a[i][j] *= g[j];
                dot += a[i][j] * b[i][j];
            }
        }
        const float mean = block_sum(dot) / float(hidden);
#pragma unroll
        for (int i = 0; i < kVectors; ++i) {
#pragma unroll
            for (int j = 0; j < 8; ++j) a[i][j] = r * (a[i][j] - b[i][j] * mean);
            store8(dx + row * hidden + first + i * stride, a[i]);
        }
    }
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
        float4* out = reinterpret_cast<float4*>(partial + blockIdx.x * hidden + first + i * stride);
        out[0] = make_float4(dw[i][0], dw[i][1], dw[i][2], dw[i][3]);
        out[1] = make_float4(dw[i][4], dw[i][5], dw[i][6], dw[i][7]);
    }
}

// dw[c] = sum over blocks of partial[block][c]; a block of 32 x 8 threads sums 32 columns.
__global__ void sum_partials(const float* __restrict__ partial, float* __restrict__ dw, int blocks,
                             std::int64_t hidden) {
    __shared__ float parts[8][33];
    const std::int64_t column = blockIdx.x * 32 + threadIdx.x;
    float total = 0;
    for (int b = int(threadIdx.y); b < blocks; b += 8) total += partial[b * hidden + column];
    parts[threadIdx.y][threadIdx.x] = total;
    __syncthreads();
    if (threadIdx.y != 0) return;
    for (int i = 1; i < 8; ++i) total += parts[i][threadIdx.x];
    dw[column] = total;
}

// Calls f with the vectors a thread holds as a compile-time constant, and the threads of a block:
// hidden = 256 * warps * vectors.
template <class F>
void with_vectors(std::int64_t hidden, F&& f) {
    const int units = int(hidden / 256);
    int vectors = 1;
    for (int v = 1; v <= 8; ++v)
        if (units % v == 0 && units / v <= 32) vectors = v;
    const int threads = units / vectors * 32;
    switch (vectors) {
        case 1:
            return f(std::integral_constant<int, 1>{}, threads);
        case 2:
            return f(std::integral_constant<int, 2>{}, threads);
        case 3:
            return f(std::integral_constant<int, 3>{}, threads);
        case 4:
            return f(std::integral_constant<int, 4>{}, threads);
        case 5:
            return f(std::integral_constant<int, 5>{}, threads);
        case 6:
            return f(std::integral_constant<int, 6>{}, threads);
        case 7:
            return f(std::integral_constant<int, 7>{}, threads);
        default:
            return f(std::integral_constant<int, 8>{}, threads);
    }
}

}  // namespace

void rms_norm(const Bf16* x, const Bf16* w, Bf16* y, float* rstd, std::int64_t rows,
              std::int64_t hidden, cudaStream_t stream) {
    with_vectors(hidden, [&](auto v, int threads) {
        forward<decltype(v)::value><<<int(rows), threads, 0, stream>>>(x, w, y, rstd, hidden);
    });
}

std::int64_t rms_norm_backward_workspace(std::int64_t hidden) { return kBackwardBlocks * hidden; }

void rms_norm_backward(const Bf16* dy, const Bf16* x, const Bf16* w, const float* rstd, Bf16* dx,
                       float* dw, float* workspace, std::int64_t rows, std::int64_t hidden,
                       cudaStream_t stream) {
    const int blocks = int(rows < kBackwardBlocks ? rows : kBackwardBlocks);
    with_vectors(hidden, [&](auto v, int threads) {
        backward<decltype(v)::value>
            <<<blocks, threads, 0, stream>>>(dy, x, w, rstd, dx, workspace, rows, hidden);
    });
    sum_partials<<<int(hidden / 32), dim3(32, 8), 0, stream>>>(workspace, dw, blocks, hidden);
}

}  // namespace orrery::kernels
