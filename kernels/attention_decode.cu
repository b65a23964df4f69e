#include "kernels/attention_decode.hpp"
#include "kernels/decode_shares.cuh"

// The second kernel of decode attention: o = sum_i w_i o_i, w_i = 2^(l_i) / sum_j 2^(l_j) over the
// pieces i of an item that was cut. The CTAs of all shares but the item's first work on it: whole
// rows where its pieces are few, else columns with the pieces spread over lanes.

namespace orrery::kernels {
namespace {

constexpr int kCombineThreads = 128, kFewPieces = 8;

struct Combine {
    Parts parts;
    int rows, heads, group;
    Bf16* out;
    float* log_sum_exp;
};

// The pieces of a row: where they lie and what they weigh.
struct RowPieces {
    const Combine& c;
    const Cut& cut;
    int row;
    float base = 0, share = 0;  // weight of piece i: 2^(l_i - base) share

    __device__ int count() const { return cut.last - cut.first + 1; }
    // The first piece lies in the back slot of its share, the others in the front slot of theirs.
    __device__ std::int64_t at(int i) const {
        return std::int64_t(i == 0 ? 2 * cut.first + 1 : 2 * (cut.first + i)) * c.rows + row;
    }
    // By kLanes neighbouring lanes together.
    template <int kLanes>
    __device__ void weigh() {
        const int lane = int(threadIdx.x) % kLanes;
        float highest = -INFINITY, sum = 0;
        for (int i = lane; i < count(); i += kLanes) highest = fmaxf(highest, c.parts.l[at(i)]);
        highest = lane_max<kLanes>(highest);
        base = highest == -INFINITY ? 0 : highest;
        for (int i = lane; i < count(); i += kLanes) sum += exp2_fast(c.parts.l[at(i)] - base);
        sum = lane_sum<kLanes>(sum);
        share = sum > 0 ? 1 / sum : 0;
    }
    template <int kDim>
    __device__ void add(float4& o, int i, int column) const {
        const float4 v = *reinterpret_cast<const float4*>(c.parts.o + at(i) * kDim + column);
        const float w = exp2_fast(c.parts.l[at(i)] - base) * share;
        o.x += w * v.x;
        o.y += w * v.y;
        o.z += w * v.z;
        o.w += w * v.w;
    }
    template <int kDim>
    __device__ void store(const float4& o, int column) const {
        const int tokens = c.rows / c.group, request = cut.item / c.heads,
                  head = cut.item % c.heads;
        const std::int64_t to =
            (std::int64_t(request * tokens + row / c.group) * c.heads + head) * c.group +
            row % c.group;
        __nv_bfloat162 pair[2] = {__floats2bfloat162_rn(o.x, o.y), __floats2bfloat162_rn(o.z, o.w)};
        *reinterpret_cast<uint2*>(c.out + to * kDim + column) = *reinterpret_cast<uint2*>(pair);
        if (c.log_sum_exp && column == 0)
            c.log_sum_exp[to] = share > 0 ? (base - log2f(share)) * 0.69314718f : -INFINITY;
    }
};

// Rows kRows `worker` .. of an item of few pieces; 8 columns a thread, half a row apart.
template <int kDim>
__device__ __forceinline__ void combine_rows(const Combine& c, const Cut& cut, int worker) {
    constexpr int kThreadsARow = kDim / 8, kRows = kCombineThreads / kThreadsARow;
    const int row = worker * kRows + int(threadIdx.x) / kThreadsARow;
    const int column = int(threadIdx.x) % kThreadsARow * 4;
    RowPieces p{c, cut, min(row, c.rows - 1)};
    p.weigh<(kThreadsARow < 32 ? kThreadsARow : 32)>();
    float4 low = make_float4(0, 0, 0, 0), high = low;
#pragma unroll 4
    for (int i = 0; i < p.count(); ++i) {
        p.add<kDim>(low, i, column);
        p.add<kDim>(high, i, column + kDim / 2);
    }
    if (row >= c.rows) return;
    p.store<kDim>(low, column);
    p.store<kDim>(high, column + kDim / 2);
}

// 32 columns a warp, every fourth piece a lane.
template <int kDim>
__device__ __forceinline__ void combine_columns(const Combine& c, const Cut& cut, int worker,
                                                int workers) {
    const int lane = int(threadIdx.x) % 32;
    for (int chunk = worker; chunk < c.rows * (kDim / 32); chunk += workers) {
        RowPieces p{c, cut, chunk / (kDim / 32)};
        p.weigh<32>();
        const int column = chunk % (kDim / 32) * 32 + lane % 8 * 4;
        float4 o = make_float4(0, 0, 0, 0);
#pragma unroll 8
        for (int i = lane / 8; i < p.count(); i += 4) p.add<kDim>(o, i, column);
#pragma unroll
        for (int d = 8; d < 32; d *= 2) {
            o.x += __shfl_xor_sync(0xffffffffu, o.x, d);
            o.y += __shfl_xor_sync(0xffffffffu, o.y, d);
            o.z += __shfl_xor_sync(0xffffffffu, o.z, d);
            o.w += __shfl_xor_sync(0xffffffffu, o.w, d);
        }
        if (lane < 8) p.store<kDim>(o, column);
    }
}

// Share blockIdx.x's cut.
template <int kDim>
__global__ __launch_bounds__(kCombineThreads) void combine(const __grid_constant__ Combine c) {
    const Cut cut = c.parts.cuts[blockIdx.x];
    if (cut.item < 0) return;
    const int helpers = cut.last - cut.first, all = int(gridDim.y);
    const int worker = (int(blockIdx.x) - cut.first - 1) * all + int(blockIdx.y);
    constexpr int kRows = kCombineThreads / (kDim / 8), kWarps = kCombineThreads / 32;
    if (helpers < kFewPieces) {
        if (worker * kRows < c.rows) combine_rows<kDim>(c, cut, worker);
    } else {
        combine_columns<kDim>(c, cut, worker * kWarps + int(threadIdx.x) / 32,
                              helpers * all * kWarps);
    }
}

}  // namespace

cudaError_t combine_decode(const Parts& parts, int count, int rows, int dim, int heads, int group,
                           Bf16* out, float* log_sum_exp, cudaStream_t stream) {
    const Combine c{parts, rows, heads, group, out, log_sum_exp};
    const dim3 grid(unsigned(count), unsigned(blocks_for(rows, kCombineThreads / (dim / 8))));
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
