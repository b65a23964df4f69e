#include <cmath>

#include "kernels/common.cuh"
#include "kernels/routing.hpp"

namespace orrery::kernels {
namespace {

// Largest value over the warp and the smallest `id` that has it.
__device__ inline void warp_argmax(float& value, int& id) {
#pragma unroll
    for (int d = 16; d > 0; d /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, value, d);
        const int other_id = __shfl_xor_sync(0xffffffffu, id, d);
        if (other > value || (other == value && other_id < id)) {
            value = other;
            id = other_id;
        }
    }
}

// One warp a token; lane l holds experts 8 l .. 8 l + 7, so four lanes hold a group.
__global__ __launch_bounds__(256) void route_kernel(const float* __restrict__ logits,
                                                    const float* __restrict__ bias,
                                                    std::int32_t* __restrict__ experts,
                                                    float* __restrict__ weights,
                                                    std::int64_t tokens) {
    const std::int64_t token = std::int64_t(blockIdx.x) * 8 + threadIdx.x / 32;
    if (token >= tokens) return;
    const int lane = int(threadIdx.x) % 32;
    float s[8], biased[8];
    const float4* in = reinterpret_cast<const float4*>(logits + token * 256 + lane * 8);
    const float4* add = reinterpret_cast<const float4*>(bias + lane * 8);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const float4 v = in[i], b = add[i];
        const float raw[4] = {v.x, v.y, v.z, v.w}, extra[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            s[i * 4 + j] = 1.f / (1.f + __expf(-raw[j]));
            biased[i * 4 + j] = s[i * 4 + j] + extra[j];
        }
    }
    float top = -INFINITY, second = -INFINITY;
#pragma unroll
    for (int j = 0; j < 8; ++j) {
        second = fmaxf(second, fminf(top, biased[j]));
        top = fmaxf(top, biased[j]);
    }
#pragma unroll
    for (int d = 1; d <= 2; d *= 2) {
        const float t = __shfl_xor_sync(0xffffffffu, top, d);
        const float u = __shfl_xor_sync(0xffffffffu, second, d);
        second = fmaxf(fminf(top, t), fmaxf(second, u));
        top = fmaxf(top, t);
    }
    float group_score = lane % 4 == 0 ? top + second : -INFINITY;
    bool kept = false;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        float value = group_score;
        int id = lane / 4;
        warp_argmax(value, id);
        if (lane / 4 == id) {
            kept = true;
            group_score = -INFINITY;
        }
    }
    if (!kept)
#pragma unroll
        for (int j = 0; j < 8; ++j) biased[j] = -INFINITY;
    float chosen = 0, total = 0;
    int chosen_expert = 0;
#pragma unroll
    for (int k = 0; k < 8; ++k) {
        float value = biased[0], plain = s[0];
        int id = lane * 8;
#pragma unroll
        for (int j = 1; j < 8; ++j)
            if (biased[j] > value) {
                value = biased[j];
                plain = s[j];
                id = lane * 8 + j;
            }
        int best = id;
        warp_argmax(value, best);
        plain = __shfl_sync(0xffffffffu, plain, best / 8);
#pragma unroll
        for (int j = 0; j < 8; ++j)
            if (lane * 8 + j == best) biased[j] = -INFINITY;
        total += plain;
        if (lane == k) {
            chosen = plain;
            chosen_expert = best;
        }
    }
    if (lane < 8) {
        experts[token * 8 + lane] = chosen_expert;
        weights[token * 8 + lane] = chosen / total;
    }
}

// One block a row.
__global__ __launch_bounds__(256) void gather_kernel(const uint4* __restrict__ from,
                                                     const std::int32_t* __restrict__ index,
                                                     uint4* __restrict__ to, int vectors) {
    const std::int64_t row = blockIdx.x;
    const std::int64_t source = index[row];
#pragma unroll 4
    for (int i = int(threadIdx.x); i < vectors; i += int(blockDim.x))
        to[row * vectors + i] = source < 0 ? make_uint4(0, 0, 0, 0) : from[source * vectors + i];
}

// One block a token.
__global__ __launch_bounds__(256) void reduce_kernel(const Bf16* __restrict__ x,
                                                     const std::int32_t* __restrict__ index,
                                                     const float* __restrict__ weight,
                                                     Bf16* __restrict__ y, int fan,
                                                     std::int64_t hidden) {
    const std::int64_t token = blockIdx.x;
    for (std::int64_t c = std::int64_t(threadIdx.x) * 8; c < hidden; c += blockDim.x * 8) {
        float sum[8] = {};
        for (int k = 0; k < fan; ++k) {
            const std::int64_t row = index[token * fan + k];
            if (row < 0) continue;
            const float w = weight[token * fan + k];
            float v[8];
            load8(x + row * hidden + c, v);
#pragma unroll
            for (int j = 0; j < 8; ++j) sum[j] += w * v[j];
        }
        store8(y + token * hidden + c, sum);
    }
}

// One block a row: running maximum and sum in one pass, then the gradient in a second.
__global__ __launch_bounds__(1024) void cross_entropy_kernel(
    Bf16* __restrict__ logits, const std::int32_t* __restrict__ target, float* __restrict__ loss,
    float scale, std::int64_t vocabulary) {
    __shared__ float maxima[32];
    const std::int64_t row = blockIdx.x;
    Bf16* at = logits + row * vocabulary;
    const std::int64_t label = target[row];
    const float label_logit = __bfloat162float(at[label]);
    float top = -INFINITY, sum = 0;
#pragma unroll 4
    for (std::int64_t c = std::int64_t(threadIdx.x) * 8; c < vocabulary; c += 8192) {
        float v[8];
        load8(at + c, v);
        float m = v[0];
#pragma unroll
        for (int j = 1; j < 8; ++j) m = fmaxf(m, v[j]);
        if (m > top) {
            sum *= __expf(top - m);
            top = m;
        }
#pragma unroll
        for (int j = 0; j < 8; ++j) sum += __expf(v[j] - top);
    }
    const float warp_top = lane_max(top);
    if (threadIdx.x % 32 == 0) maxima[threadIdx.x / 32] = warp_top;
    __syncthreads();
    float all_top = maxima[0];
    for (int i = 1; i < 32; ++i) all_top = fmaxf(all_top, maxima[i]);
    const float total = block_sum(top == -INFINITY ? 0.f : sum * __expf(top - all_top));
    const float log_total = all_top + __logf(total);
    if (threadIdx.x == 0) loss[row] = log_total - label_logit;
#pragma unroll 4
    for (std::int64_t c = std::int64_t(threadIdx.x) * 8; c < vocabulary; c += 8192) {
        float v[8];
        load8(at + c, v);
#pragma unroll
        for (int j = 0; j < 8; ++j)
            v[j] = scale * (__expf(v[j] - log_total) - (c + j == label ? 1.f : 0.f));
        store8(at + c, v);
    }
}

int threads_for(std::int64_t vectors) {
    for (int threads : {256, 224, 192, 160, 128, 96, 64})
        if (vectors % threads == 0) return threads;
    return 256;
}

}  // namespace

void route(const float* logits, const float* bias, std::int32_t* experts, float* weights,
           std::int64_t tokens, cudaStream_t stream) {
    route_kernel<<<blocks_for(tokens, 8), 256, 0, stream>>>(logits, bias, experts, weights, tokens);
}
void gather_rows(const void* from, const std::int32_t* index, void* to, std::int64_t rows,
                 std::int64_t row_bytes, cudaStream_t stream) {
    const int vectors = int(row_bytes / 16);
    gather_kernel<<<int(rows), threads_for(vectors), 0, stream>>>(
        static_cast<const uint4*>(from), index, static_cast<uint4*>(to), vectors);
}
void reduce_rows(const Bf16* x, const std::int32_t* index, const float* weight, Bf16* y,
                 std::int64_t tokens, std::int64_t fan, std::int64_t hidden, cudaStream_t stream) {
    reduce_kernel<<<int(tokens), threads_for(hidden / 8), 0, stream>>>(x, index, weight, y,
                                                                       int(fan), hidden);
}
void cross_entropy(Bf16* logits, const std::int32_t* target, float* loss, float scale,
                   std::int64_t rows, std::int64_t vocabulary, cudaStream_t stream) {
    cross_entropy_kernel<<<int(rows), 1024, 0, stream>>>(logits, target, loss, scale, vocabulary);
}

}  // namespace orrery::kernels
