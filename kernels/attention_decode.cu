#include "kernels/attention_decode.hpp"
#include "kernels/decode_shares.cuh"

// The second kernel of decode attention: o = sum_i w_i o_i, w_i = 2^(l_i) / sum_j 2^(l_j) over the
// pieces i of an item that was cut.

namespace orrery::kernels {
namespace {

constexpr int kCombineThreads = 128;

struct Combine {
    Parts parts;
    int rows, heads, group;
    Bf16* out;
    float* log_sum_exp;
};

// Share blockIdx.x's cut, rows blockIdx.y kRows .. + kRows - 1; 4 columns a thread.
template <int kDim>
__global__ __launch_bounds__(kCombineThreads) void combine(const __grid_constant__ Combine c) {
    constexpr int kThreadsARow = kDim / 4, kRows = kCombineThreads / kThreadsARow;
    const Cut cut = c.parts.cuts[blockIdx.x];
    if (cut.item < 0) return;
    const int row = int(blockIdx.y) * kRows + int(threadIdx.x) / kThreadsARow;
    const int lane = int(threadIdx.x) % 32;
    if (row >= c.rows) return;
    const int pieces = int(blockIdx.x) - cut.first + 1;
    // The first piece lies in the back slot of its share, the others in the front slot of theirs.
    const auto at = [&](int i) {
        return std::int64_t(i == 0 ? 2 * cut.first + 1 : 2 * (cut.first + i)) * c.rows + row;
    };
    float highest = -INFINITY, sum = 0;
    for (int i = lane; i < pieces; i += 32) highest = fmaxf(highest, c.parts.l[at(i)]);
    highest = lane_max(highest);
    const float base = highest == -INFINITY ? 0 : highest;
    for (int i = lane; i < pieces; i += 32) sum += exp2_fast(c.parts.l[at(i)] - base);
    sum = lane_sum(sum);
    const float share = sum > 0 ? 1 / sum : 0;
    const int column = int(threadIdx.x) % kThreadsARow * 4;
    float4 o = make_float4(0, 0, 0, 0);
#pragma unroll 4
    for (int i = 0; i < pieces; ++i) {
        const float4 v = *reinterpret_cast<const float4*>(c.parts.o + at(i) * kDim + column);
        const float w = exp2_fast(c.parts.l[at(i)] - base) * share;
        o.x += w * v.x;
        o.y += w * v.y;
        o.z += w * v.z;
        o.w += w * v.w;
    }
    const int tokens = c.rows / c.group, request = cut.item / c.heads, head = cut.item % c.heads;
    const std::int64_t to =
        (std::int64_t(request * tokens + row / c.group) * c.heads + head) * c.group + row % c.group;
    __nv_bfloat162 pair[2] = {__floats2bfloat162_rn(o.x, o.y), __floats2bfloat162_rn(o.z, o.w)};
    *reinterpret_cast<uint2*>(c.out + to * kDim + column) = *reinterpret_cast<uint2*>(pair);
    if (c.log_sum_exp && column == 0) c.log_sum_exp[to] = (base + log2f(sum)) * 0.69314718f;
}

}  // namespace

cudaError_t combine_decode(const Parts& parts, int count, int rows, int dim, int heads, int group,
                           Bf16* out, float* log_sum_exp, cudaStream_t stream) {
    const Combine c{parts, rows, heads, group, out, log_sum_exp};
    const dim3 grid(unsigned(count), unsigned(blocks_for(rows, kCombineThreads / (dim / 4))));
    if (dim == 512)
        combine<512><<<grid, kCombineThreads, 0, stream>>>(c);
    else
        combine<128><<<grid, kCombineThreads, 0, stream>>>(c);
    return cudaGetLastError();
}

int device_sm_count() {
    int device = 0, sms = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
    return sms;
}

}  // namespace orrery::kernels
