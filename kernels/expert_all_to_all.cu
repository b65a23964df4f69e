#include "kernels/common.cuh"
#include "kernels/expert_all_to_all.hpp"

namespace orrery::kernels {
namespace {

constexpr int kThreads = 640;  // 20 warps of up to 102 registers a thread
constexpr int kVectors = 14;   // 16-byte loads in flight a lane: an FP8 row of 7,168 at once
constexpr int kLayoutThreads = 1024;
constexpr std::int64_t kLongestNs = 2'000'000'000;

enum Flag { counted, started, ended };

// Adds 1 to this rank's flag at every rank; what its block wrote before is visible to whoever sees
// it. Called by all threads.
__device__ void signal(const ExpertRank& g, Flag flag) {
    __threadfence_system();
    __syncthreads();
    if (int(threadIdx.x) < g.ranks)
        asm volatile("red.release.sys.global.add.u32 [%0], 1;" ::"l"(
                         g.flags[threadIdx.x] + flag * kMostExpertRanks + g.rank)
                     : "memory");
}

// Waits until every rank's flag here has reached `target`. False where that takes too long.
__device__ bool wait(const ExpertRank& g, Flag flag, std::uint32_t target) {
    bool late = false;
    if (int(threadIdx.x) < g.ranks) {
        const std::uint32_t* at = g.flags[g.rank] + flag * kMostExpertRanks + threadIdx.x;
        const std::uint64_t begin = global_nanoseconds();
        std::uint32_t seen = 0;
        do {
            asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(seen) : "l"(at) : "memory");
            late = std::int64_t(global_nanoseconds() - begin) > kLongestNs;
        } while (std::int32_t(seen - target) < 0 && !late);
        if (late) *g.failed = 1;
    }
    return !__syncthreads_or(late);
}

// Every block passes once all ranks have begun this call.
__device__ bool begin_together(const ExpertRank& g) {
    if (blockIdx.x == 0) signal(g, started);
    return wait(g, started, g.started);
}
// The kernel ends once every block of every rank is here.
__device__ void end_together(const ExpertRank& g) {
    signal(g, ended);
    if (blockIdx.x == 0) wait(g, ended, g.ended);
}

// Exclusive prefix sum of v over the block; `total` becomes the sum.
__device__ int block_prefix(int v, int& total) {
    __shared__ int warps[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int sum = v;
    for (int d = 1; d < 32; d *= 2) {
        const int other = __shfl_up_sync(0xffffffffu, sum, d);
        if (lane >= d) sum += other;
    }
    __syncthreads();
    if (lane == 31) warps[warp] = sum;
    __syncthreads();
    int before = 0;
    total = 0;
    for (int w = 0; w < int(blockDim.x) / 32; ++w) {
        if (w < warp) before += warps[w];
        total += warps[w];
    }
    return before + sum - v;
}

// One block a destination.
__global__ __launch_bounds__(kLayoutThreads) void expert_layout_kernel(
    const __grid_constant__ ExpertRank g, const std::int32_t* experts, int experts_per_rank) {
    const int to = int(blockIdx.x);
    int rows = 0;
    for (std::int64_t base = 0; base < g.tokens; base += blockDim.x) {
        const std::int64_t t = base + threadIdx.x;
        int goes = 0;
        if (t < g.tokens)
            for (int k = 0; k < kExpertsPerToken; ++k) {
                const int e = experts[t * kExpertsPerToken + k];
                goes |= e >= 0 && e / experts_per_rank == to;
            }
        int total = 0;
        const int place = block_prefix(goes, total);
        if (t < g.tokens) g.slots[t * g.ranks + to] = goes ? rows + place : -1;
        rows += total;
    }
    if (int(threadIdx.x) < g.ranks) g.counts[threadIdx.x][g.rank * g.ranks + to] = rows;
    signal(g, counted);
    if (!wait(g, counted, g.counted)) return;
    int first = 0;
    for (int s = 0; s < g.rank; ++s)
        first += *static_cast<const volatile std::int32_t*>(g.counts[g.rank] + s * g.ranks + to);
    for (std::int64_t t = threadIdx.x; t < g.tokens; t += blockDim.x)
        if (g.slots[t * g.ranks + to] >= 0) g.slots[t * g.ranks + to] += first;
}

// The work of a kernel: pieces of `vectors` 16-byte columns of each token's row, dealt out to the
// warps of all blocks. The slots of a warp's next piece are loaded while it moves this one.
struct Pieces {
    unsigned each;  // pieces a token
    unsigned end, step;
    unsigned at;  // this warp's piece
    int slot;     // lane d: the token's slot at rank d
    int next_slot;

    __device__ Pieces(const ExpertRank& g, std::int64_t row_vectors, int vectors)
        : each(unsigned((row_vectors + vectors - 1) / vectors)),
          end(unsigned(g.tokens) * each),
          step(gridDim.x * (kThreads / 32)),
          at(blockIdx.x + gridDim.x * (threadIdx.x / 32)),
          slot(-1),
          next_slot(load(g, at)) {}
    __device__ int load(const ExpertRank& g, unsigned piece) const {
        const int lane = threadIdx.x % 32;
        return lane < g.ranks && piece < end ? g.slots[std::int64_t(piece / each) * g.ranks + lane]
                                             : -1;
    }
    __device__ bool take(const ExpertRank& g) {
        slot = next_slot;
        next_slot = load(g, at + step);
        return at < end;
    }
};

// Ranks in another order at each sender, so that not all write to one at a time: the next one
// first, this one last.
__device__ inline int destination(const ExpertRank& g, int i) {
    const int d = g.rank + 1 + i;
    return d < g.ranks ? d : d - g.ranks;
}

// A piece of a row is read once and written to every rank that wants the token.
__global__ __launch_bounds__(kThreads, 1) void expert_dispatch_kernel(
    const __grid_constant__ ExpertRank g, const __grid_constant__ ExpertTokens tokens) {
    if (!begin_together(g)) return;
    const int lane = threadIdx.x % 32;
    const std::int64_t row_vectors = tokens.row_bytes / 16;
    const int scale_vectors = tokens.scales_per_row / 4;
    for (Pieces p(g, row_vectors, 32 * kVectors); p.take(g); p.at += p.step) {
        const std::int64_t t = p.at / p.each;
        const unsigned part = p.at % p.each;
        const std::int64_t base = std::int64_t(part) * 32 * kVectors + lane;
        const uint4* x = static_cast<const uint4*>(tokens.x) + t * row_vectors + base;
        uint4 v[kVectors];
#pragma unroll
        for (int i = 0; i < kVectors; ++i)
            if (base + 32 * i < row_vectors) v[i] = load_once(x + 32 * i);
        for (int r = 0; r < g.ranks; ++r) {
            const int d = destination(g, r);
            const std::int64_t row = __shfl_sync(0xffffffffu, p.slot, d);
            if (row < 0) continue;
            uint4* to = static_cast<uint4*>(g.rows[d]) + row * row_vectors + base;
#pragma unroll
            for (int i = 0; i < kVectors; ++i)
                if (base + 32 * i < row_vectors) store_once(to + 32 * i, v[i]);
        }
        if (part > 0) continue;
        // Beside the row: scales, experts and weights, at most one vector of each a lane.
        const bool experts = lane >= 16 && lane < 18, weights = lane >= 18 && lane < 20;
        uint4 side{}, routed{};
        if (lane < scale_vectors)
            side =
                load_once(reinterpret_cast<const uint4*>(tokens.scales) + t * scale_vectors + lane);
        if (experts)
            routed = load_once(reinterpret_cast<const uint4*>(tokens.experts) + t * 2 + lane - 16);
        if (weights)
            routed = load_once(reinterpret_cast<const uint4*>(tokens.weights) + t * 2 + lane - 18);
        for (int r = 0; r < g.ranks; ++r) {
            const int d = destination(g, r);
            const std::int64_t row = __shfl_sync(0xffffffffu, p.slot, d);
            if (row < 0) continue;
            if (lane < scale_vectors)
                store_once(reinterpret_cast<uint4*>(g.scales[d]) + row * scale_vectors + lane,
                           side);
            if (experts)
                store_once(reinterpret_cast<uint4*>(g.experts[d]) + row * 2 + lane - 16, routed);
            if (weights)
                store_once(reinterpret_cast<uint4*>(g.weights[d]) + row * 2 + lane - 18, routed);
        }
    }
    end_together(g);
}

// A lane has kUnroll columns of up to kRanks peers in flight.
template <int kRanks, int kUnroll>
__global__ __launch_bounds__(kThreads,
                             1) void expert_combine_kernel(const __grid_constant__ ExpertRank g,
                                                           Bf16* y, std::int64_t hidden) {
    if (!begin_together(g)) return;
    const int lane = threadIdx.x % 32;
    const std::int64_t row_vectors = hidden / 8;
    for (Pieces p(g, row_vectors, 32 * kUnroll); p.take(g); p.at += p.step) {
        const std::int64_t t = p.at / p.each;
        const std::int64_t base = std::int64_t(p.at % p.each) * 32 * kUnroll + lane;
        uint4 v[kRanks][kUnroll];
#pragma unroll
        for (int d = 0; d < kRanks; ++d) {
            const std::int64_t row = __shfl_sync(0xffffffffu, p.slot, d);
            const uint4* from = reinterpret_cast<const uint4*>(g.out[d]) + row * row_vectors + base;
#pragma unroll
            for (int i = 0; i < kUnroll; ++i)
                v[d][i] = load_once_if(from + 32 * i, row >= 0 && base + 32 * i < row_vectors);
        }
#pragma unroll
        for (int i = 0; i < kUnroll; ++i) {
            float sum[8] = {};
#pragma unroll
            for (int d = 0; d < kRanks; ++d) {
                const __nv_bfloat162* pairs = reinterpret_cast<const __nv_bfloat162*>(&v[d][i]);
#pragma unroll
                for (int j = 0; j < 4; ++j) {
                    const float2 f = __bfloat1622float2(pairs[j]);
                    sum[2 * j] += f.x;
                    sum[2 * j + 1] += f.y;
                }
            }
            if (base + 32 * i < row_vectors) store8(y + (t * row_vectors + base + 32 * i) * 8, sum);
        }
    }
    end_together(g);
}

template <class... Arguments>
cudaError_t launch(void (*kernel)(Arguments...), int ctas, cudaStream_t stream,
                   Arguments... arguments) {
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(unsigned(ctas));
    config.blockDim = dim3(kThreads);
    config.stream = stream;
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = ctas % 2 == 0 ? 2 : 1;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    config.attrs = &attribute;
    config.numAttrs = 1;
    return cudaLaunchKernelEx(&config, kernel, arguments...);
}

}  // namespace

cudaError_t load_expert_kernels() {
    const void* kernels[] = {reinterpret_cast<const void*>(expert_layout_kernel),
                             reinterpret_cast<const void*>(expert_dispatch_kernel),
                             reinterpret_cast<const void*>(expert_combine_kernel<2, 7>),
                             reinterpret_cast<const void*>(expert_combine_kernel<4, 4>),
                             reinterpret_cast<const void*>(expert_combine_kernel<8, 2>)};
    for (const void* kernel : kernels) {
        cudaFuncAttributes attributes;
        const cudaError_t loaded = cudaFuncGetAttributes(&attributes, kernel);
        if (loaded != cudaSuccess) return loaded;
    }
    return cudaSuccess;
}

cudaError_t expert_layout(ExpertRank& rank, const std::int32_t* experts, int experts_per_rank,
                          cudaStream_t stream) {
    rank.counted += std::uint32_t(rank.ranks);
    expert_layout_kernel<<<unsigned(rank.ranks), kLayoutThreads, 0, stream>>>(rank, experts,
                                                                              experts_per_rank);
    return cudaGetLastError();
}

cudaError_t expert_dispatch(ExpertRank& rank, const ExpertTokens& tokens, int ctas,
                            cudaStream_t stream) {
    rank.started += 1;
    rank.ended += std::uint32_t(ctas);
    return launch<ExpertRank, ExpertTokens>(expert_dispatch_kernel, ctas, stream, rank, tokens);
}

cudaError_t expert_combine(ExpertRank& rank, Bf16* y, std::int64_t hidden, int ctas,
                           cudaStream_t stream) {
    rank.started += 1;
    rank.ended += std::uint32_t(ctas);
    const auto kernel = rank.ranks <= 2   ? expert_combine_kernel<2, 7>
                        : rank.ranks <= 4 ? expert_combine_kernel<4, 4>
                                          : expert_combine_kernel<8, 2>;
    return launch<ExpertRank, Bf16*, std::int64_t>(kernel, ctas, stream, rank, y, hidden);
}

}  // namespace orrery::kernels
