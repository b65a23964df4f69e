#include <algorithm>
#include <cmath>

#include "kernels/attention_backward.hpp"
#include "kernels/attention_parts.cuh"

// Both kernels: one CTA a tile, of three warpgroups. A producer thread loads the tile's own
// operands once and fills a ring of blocks through TMA; two consumer warpgroups hold 64 rows of the
// tile each. Scores, their weights and gradients stay in registers: they are the left operands of
// the second products. Barrier full: the bytes have landed; empty: all eight consumer warps have
// read.

namespace orrery::kernels {
namespace {

constexpr int kThreads = 384, kTile = 128, kValueDim = 128;
constexpr int kProducerRegisters = 24, kConsumerRegisters = 240;
constexpr std::int64_t kBytesInL2 = 24 << 20;  // heads run together: their operands stay in L2

struct Problem {
    Bf16 *dq, *dk, *dv;
    // [heads of all sequences, padded_length]: stats log2(e), infinite beyond the queries; sum(do
    // o)
    const float *stats_log2, *row_sums;
    int query_heads, key_heads, ratio, query_length, key_length, padded_length;
    int blocks, heads, heads_together;  // tiles of a head; heads (key heads) of all sequences
    float scale, scale_log2;
    bool causal;
    __device__ int behind() const { return key_length - query_length; }  // keys before query 0
};

// Tiles of one kernel: heads in groups, the longest tiles of a group first.
struct Place {
    int sequence, head, block;
};
__device__ Place place_of(const Problem& p, int heads_a_sequence, bool last_first) {
    const int index = int(blockIdx.x), of_group = p.blocks * p.heads_together;
    const int group = index / of_group, in_group = index - group * of_group;
    const int together = min(p.heads_together, p.heads - group * p.heads_together);
    const int head = group * p.heads_together + in_group % together;
    const int block = in_group / together;
    return {head / heads_a_sequence, head % heads_a_sequence,
            last_first ? p.blocks - 1 - block : block};
}

// Shared memory: the tile's two operands (kDim and 128 wide), stages of the same of kBlock tokens,
// statistics of a stage's tokens where they are the queries, barriers.
template <int kDim, int kBlock, int kStages, bool kWithStatistics>
struct Memory {
    static constexpr int kWideBytes = kTile * kDim * 2, kNarrowBytes = kTile * kValueDim * 2;
    static constexpr int kStageWide = kBlock * kDim * 2, kStageNarrow = kBlock * kValueDim * 2;
    static constexpr int kOwn = kWideBytes + kNarrowBytes;
    static constexpr int kRing = kOwn + kStages * (kStageWide + kStageNarrow);
    static constexpr int kStatisticsBytes = kWithStatistics ? kBlock * 8 : 0;
    static constexpr int kBarriers = kRing + kStages * kStatisticsBytes;
    static constexpr int kBytes = 1024 + kBarriers + 16 * (kStages + 1);  // 1024: alignment
    static constexpr int kStageBytes = kStageWide + kStageNarrow + kStatisticsBytes;
    static_assert(kBytes <= 232448);

    std::uint32_t base;  // aligned to 1,024 bytes
    __device__ std::uint32_t wide() const { return base; }
    __device__ std::uint32_t narrow() const { return base + kWideBytes; }
    __device__ std::uint32_t stage_wide(int s) const { return base + kOwn + s * kStageWide; }
    __device__ std::uint32_t stage_narrow(int s) const {
        return base + kOwn + kStages * kStageWide + s * kStageNarrow;
    }
    __device__ std::uint32_t statistics(int s) const { return base + kRing + s * kStatisticsBytes; }
    __device__ std::uint32_t own_full() const { return base + kBarriers; }
    __device__ std::uint32_t full(int s) const { return own_full() + 16 + s * 16; }
    __device__ std::uint32_t empty(int s) const { return full(s) + 8; }

    __device__ void init() const {
        barrier_init(own_full(), 1);
        for (int s = 0; s < kStages; ++s) {
            barrier_init(full(s), 1);
            barrier_init(empty(s), 8);  // consumer warps
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
};

template <int kStages>
struct Turn {
    int stage = 0;
    std::uint32_t phase = 0;
    __device__ void advance() {
        if (++stage == kStages) {
            stage = 0;
            phase ^= 1;
        }
    }
};

// d[64 x N] = rows of a kTile x kWidth operand times all kBlock rows of a block, transposed.
template <int kWidth, int kBlock, int kCount>
__device__ __forceinline__ void multiply(float (&d)[kCount], std::uint32_t a, std::uint32_t b) {
    constexpr int kAPanel = kTile * kPanelRowBytes / 16, kBPanel = kBlock * kPanelRowBytes / 16;
    const std::uint64_t left = summed_along(a), right = summed_along(b);
#pragma unroll
    for (int i = 0; i < kWidth / 16; ++i)
        wgmma_product(d, left + i / 4 * kAPanel + i % 4 * 2, right + i / 4 * kBPanel + i % 4 * 2,
                      i > 0);
}
// d[64 x N] (+)= w[64 x kBlock] times the rows of a block.
template <int kBlock, int kCount>
__device__ __forceinline__ void accumulate(float (&d)[kCount], const std::uint32_t* w,
                                           std::uint32_t b, bool add) {
    const std::uint64_t right = summed_down<kBlock>(b);
#pragma unroll
    for (int i = 0; i < kBlock / 16; ++i)
        wgmma_weighted(d, w + 4 * i, right + 128 * i, add || i > 0);
}

// 64 rows of 2 kCount results as BF16, `out`: row 0; `rows`: how many count.
template <int kCount>
__device__ __forceinline__ void store(const float (&d)[kCount], Bf16* out, std::int64_t stride,
                                      int rows, float factor) {
    const int lane = int(threadIdx.x) % 32, q = lane % 4;
    const int row = int(threadIdx.x) / 32 % 4 * 16 + lane / 4;
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int four = 0; four < kCount / 16; ++four) {
            std::uint32_t w[4];
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const int i = (four * 4 + j) * 4 + half * 2;
                w[j] = pack(d[i] * factor, d[i + 1] * factor);
            }
            gather_in_quad(w, q);
            if (row + 8 * half < rows)
                *reinterpret_cast<uint4*>(out + (row + 8 * half) * stride + four * 32 + q * 8) =
                    make_uint4(w[0], w[1], w[2], w[3]);
        }
}

// ---- dk, dv: 128 keys, over the queries 32 at a time --------------------------------------------

constexpr int kQueries = 32, kQueryStages = 4;
template <int kDim>
using KeyMemory = Memory<kDim, kQueries, kQueryStages, true>;

struct QueryRange {
    int first, blocks;  // of kQueries
};
__device__ QueryRange queries_of(const Problem& p, int first_key) {
    const int first = p.causal ? max(0, first_key - p.behind()) / kQueries : 0;
    return {first, (p.query_length + kQueries - 1) / kQueries - first};
}

template <int kDim>
__device__ void produce_queries(const CUtensorMap* k_map, const CUtensorMap* v_map,
                                const CUtensorMap* q_map, const CUtensorMap* do_map,
                                const Problem& p, KeyMemory<kDim> m) {
    using M = KeyMemory<kDim>;
    const Place t = place_of(p, p.key_heads, false);
    barrier_expect(m.own_full(), M::kOwn);
    copy_panels<kDim / 64, kTile>(m.wide(), k_map, t.head * kDim, t.block * kTile, t.sequence,
                                  m.own_full());
    copy_panels<2, kTile>(m.narrow(), v_map, t.head * kValueDim, t.block * kTile, t.sequence,
                          m.own_full());
    const QueryRange range = queries_of(p, t.block * kTile);
    Turn<kQueryStages> turn;
    for (int i = 0; i < p.ratio * range.blocks; ++i, turn.advance()) {
        const int head = t.head * p.ratio + i / range.blocks, s = turn.stage;
        const int query = (range.first + i % range.blocks) * kQueries;
        barrier_wait(m.empty(s), turn.phase ^ 1);
        barrier_expect(m.full(s), M::kStageBytes);
        copy_panels<kDim / 64, kQueries>(m.stage_wide(s), q_map, head * kDim, query, t.sequence,
                                         m.full(s));
        copy_panels<2, kQueries>(m.stage_narrow(s), do_map, head * kValueDim, query, t.sequence,
                                 m.full(s));
        const std::int64_t at =
            (std::int64_t(t.sequence) * p.query_heads + head) * p.padded_length + query;
        copy_bulk(m.statistics(s), p.stats_log2 + at, kQueries * 4, m.full(s));
        copy_bulk(m.statistics(s) + kQueries * 4, p.row_sums + at, kQueries * 4, m.full(s));
    }
}

// Scores s[key, query] become weights, dp their gradients' left factor; both as left operands.
__device__ __forceinline__ void gradients_by_key(float (&s)[16], const float (&dp)[16],
                                                 std::uint32_t (&w)[8], std::uint32_t (&g)[8],
                                                 std::uint32_t statistics, float scale_log2,
                                                 int hidden) {
    const int column = int(threadIdx.x) % 4 * 2;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        const std::uint32_t at = statistics + (8 * j + column) * 4;
        const float2 l = load_shared_pair(at), d = load_shared_pair(at + kQueries * 4);
        float x[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            const float p = power_of_two(fmaf(s[4 * j + k], scale_log2, k & 1 ? -l.y : -l.x));
            // hidden: how far the thread's first key lies behind what the block's query 0 sees
            s[4 * j + k] = 8 * j + column + (k & 1) < hidden + (k & 2 ? 8 : 0) ? 0.f : p;
            x[k] = s[4 * j + k] * (dp[4 * j + k] - (k & 1 ? d.y : d.x));
        }
        w[2 * j] = pack(s[4 * j], s[4 * j + 1]);
        w[2 * j + 1] = pack(s[4 * j + 2], s[4 * j + 3]);
        g[2 * j] = pack(x[0], x[1]);
        g[2 * j + 1] = pack(x[2], x[3]);
    }
}

template <int kDim>
__device__ void consume_queries(const Problem& p, KeyMemory<kDim> m) {
    const int group = __shfl_sync(0xffffffffu, int(threadIdx.x) / 128, 0);  // uniform
    const int lane = int(threadIdx.x) % 32;
    const Place t = place_of(p, p.key_heads, false);
    const int first_key = t.block * kTile + group * 64;
    const int my_key = first_key + int(threadIdx.x) / 32 % 4 * 16 + lane / 4;
    const QueryRange range = queries_of(p, t.block * kTile);
    const std::uint32_t k = m.wide() + group * 64 * kPanelRowBytes,
                        v = m.narrow() + group * 64 * kPanelRowBytes;
    float dk[kDim / 2], dv[kValueDim / 2];
    Turn<kQueryStages> turn;
    barrier_wait(m.own_full(), 0);
    int query = range.first * kQueries;
    const int end = (range.first + range.blocks) * kQueries;
    for (int i = 0; i < p.ratio * range.blocks; ++i, turn.advance()) {
        const int stage = turn.stage;
        float s[16], dp[16];
        std::uint32_t w[8], g[8];
        barrier_wait(m.full(stage), turn.phase);
        pin(s);
        pin(dp);
        wgmma_fence();
        multiply<kDim, kQueries>(s, k, m.stage_wide(stage));
        multiply<kValueDim, kQueries>(dp, v, m.stage_narrow(stage));
        wgmma_commit();
        wgmma_wait<0>();
        pin(s);
        pin(dp);
        gradients_by_key(s, dp, w, g, m.statistics(stage), p.scale_log2,
                         p.causal ? my_key - p.behind() - query : -1000);
        pin(dv);
        pin(dk);
        wgmma_fence();
        accumulate<kQueries>(dv, w, m.stage_narrow(stage), i > 0);
        accumulate<kQueries>(dk, g, m.stage_wide(stage), i > 0);
        wgmma_commit();
        wgmma_wait<0>();
        pin(dv);
        pin(dk);
        if (lane == 0) barrier_arrive(m.empty(stage));
        query += kQueries;
        if (query == end) query = range.first * kQueries;
    }
    if (range.blocks <= 0) {  // keys that no query sees
#pragma unroll
        for (float& x : dk) x = 0;
#pragma unroll
        for (float& x : dv) x = 0;
    }
    const std::int64_t row = std::int64_t(t.sequence) * p.key_length + first_key;
    store(dk, p.dk + (row * p.key_heads + t.head) * kDim, std::int64_t(p.key_heads) * kDim,
          p.key_length - first_key, p.scale);
    store(dv, p.dv + (row * p.key_heads + t.head) * kValueDim,
          std::int64_t(p.key_heads) * kValueDim, p.key_length - first_key, 1.f);
}

// ---- dq: 128 queries, over the keys 64 at a time
// -------------------------------------------------

constexpr int kKeys = 64, kKeyStages = 3;
template <int kDim>
using QueryMemory = Memory<kDim, kKeys, kKeyStages, false>;

__device__ int key_blocks_of(const Problem& p, int first_query) {
    const int last = min(first_query + kTile, p.query_length);
    const int seen = p.causal ? p.behind() + last : p.key_length;
    return (seen + kKeys - 1) / kKeys;
}

template <int kDim>
__device__ void produce_keys(const CUtensorMap* q_map, const CUtensorMap* do_map,
                             const CUtensorMap* k_map, const CUtensorMap* v_map, const Problem& p,
                             QueryMemory<kDim> m) {
    using M = QueryMemory<kDim>;
    const Place t = place_of(p, p.query_heads, true);
    barrier_expect(m.own_full(), M::kOwn);
    copy_panels<kDim / 64, kTile>(m.wide(), q_map, t.head * kDim, t.block * kTile, t.sequence,
                                  m.own_full());
    copy_panels<2, kTile>(m.narrow(), do_map, t.head * kValueDim, t.block * kTile, t.sequence,
                          m.own_full());
    const int head = t.head / p.ratio, blocks = key_blocks_of(p, t.block * kTile);
    Turn<kKeyStages> turn;
    for (int i = 0; i < blocks; ++i, turn.advance()) {
        const int s = turn.stage;
        barrier_wait(m.empty(s), turn.phase ^ 1);
        barrier_expect(m.full(s), M::kStageBytes);
        copy_panels<kDim / 64, kKeys>(m.stage_wide(s), k_map, head * kDim, i * kKeys, t.sequence,
                                      m.full(s));
        copy_panels<2, kKeys>(m.stage_narrow(s), v_map, head * kValueDim, i * kKeys, t.sequence,
                              m.full(s));
    }
}

template <int kDim>
__device__ void consume_keys(const Problem& p, QueryMemory<kDim> m) {
    const int group = __shfl_sync(0xffffffffu, int(threadIdx.x) / 128, 0);  // uniform
    const int lane = int(threadIdx.x) % 32;
    const Place t = place_of(p, p.query_heads, true);
    const int first_query = t.block * kTile + group * 64;
    const int my_query = first_query + int(threadIdx.x) / 32 % 4 * 16 + lane / 4;
    const int blocks = key_blocks_of(p, t.block * kTile);
    const std::uint32_t q = m.wide() + group * 64 * kPanelRowBytes,
                        d_o = m.narrow() + group * 64 * kPanelRowBytes;
    const std::int64_t at =
        (std::int64_t(t.sequence) * p.query_heads + t.head) * p.padded_length + my_query;
    const float l[2] = {p.stats_log2[at], p.stats_log2[at + 8]};
    const float d[2] = {p.row_sums[at], p.row_sums[at + 8]};
    float dq[kDim / 2];
    std::uint32_t g[16];
    Turn<kKeyStages> turn, before;
    barrier_wait(m.own_full(), 0);
    for (int i = 0; i < blocks; ++i, turn.advance()) {
        const int stage = turn.stage;
        float s[32], dp[32];
        barrier_wait(m.full(stage), turn.phase);
        pin(s);
        pin(dp);
        wgmma_fence();
        multiply<kDim, kKeys>(s, q, m.stage_wide(stage));
        multiply<kValueDim, kKeys>(dp, d_o, m.stage_narrow(stage));
        wgmma_commit();
        wgmma_wait<0>();
        pin(s);
        pin(dp);
        pin(dq);
        if (i > 0) {
            if (lane == 0) barrier_arrive(m.empty(before.stage));
            before.advance();
        }
        // keys of the thread's first column that row 0 (row 8) still sees
        const int seen = min(p.causal ? p.behind() + my_query + 1 : p.key_length, p.key_length) -
                         i * kKeys - lane % 4 * 2;
        const int more = p.causal ? min(8, p.key_length - i * kKeys - lane % 4 * 2 - seen) : 0;
#pragma unroll
        for (int j = 0; j < 32; ++j) {
            const int row = j / 2 % 2, key = j / 4 * 8 + j % 2;
            const float w = power_of_two(fmaf(s[j], p.scale_log2, -l[row]));
            s[j] = key < seen + (row ? more : 0) ? w * (dp[j] - d[row]) : 0.f;
        }
#pragma unroll
        for (int j = 0; j < 16; ++j) g[j] = pack(s[2 * j], s[2 * j + 1]);
        pin(dq);
        wgmma_fence();
        accumulate<kKeys>(dq, g, m.stage_wide(stage), i > 0);
        wgmma_commit();
    }
    wgmma_wait<0>();
    pin(dq);
    const std::int64_t row = std::int64_t(t.sequence) * p.query_length + first_query;
    store(dq, p.dq + (row * p.query_heads + t.head) * kDim, std::int64_t(p.query_heads) * kDim,
          p.query_length - first_query, p.scale);
}

// kByKey: own operands k, v and blocks of q, do; otherwise the other way round.
template <int kDim, bool kByKey>
__global__ __launch_bounds__(kThreads, 1) void attention_backward_kernel(
    const __grid_constant__ CUtensorMap own_wide, const __grid_constant__ CUtensorMap own_narrow,
    const __grid_constant__ CUtensorMap wide, const __grid_constant__ CUtensorMap narrow,
    const __grid_constant__ Problem p) {
    using M = std::conditional_t<kByKey, KeyMemory<kDim>, QueryMemory<kDim>>;
    extern __shared__ char raw[];
    const M m{(shared_address(raw) + 1023) / 1024 * 1024};
    if (threadIdx.x == 0) {
        for (const CUtensorMap* map : {&own_wide, &own_narrow, &wide, &narrow}) prefetch_map(map);
        m.init();
    }
    __syncthreads();
    if (threadIdx.x >= 256) {
        give_registers<kProducerRegisters>();
        if (threadIdx.x != 256) return;
        if constexpr (kByKey)
            produce_queries<kDim>(&own_wide, &own_narrow, &wide, &narrow, p, m);
        else
            produce_keys<kDim>(&own_wide, &own_narrow, &wide, &narrow, p, m);
    } else {
        take_registers<kConsumerRegisters>();
        if constexpr (kByKey)
            consume_queries<kDim>(p, m);
        else
            consume_keys<kDim>(p, m);
    }
}

// One warp a query and head: sum(do o), and stats in powers of two; rows beyond the queries get
// infinite statistics, so that their weights are 0.
__global__ void attention_row_sums_kernel(const Bf16* o, const Bf16* d_o, const float* stats,
                                          float* stats_log2, float* row_sums, int rows,
                                          int query_heads, int query_length, int padded_length) {
    const int index = int((blockIdx.x * std::int64_t(blockDim.x) + threadIdx.x) / 32);
    const int lane = int(threadIdx.x) % 32;
    if (index >= rows) return;
    // neighbouring warps take neighbouring heads of one token
    const int head = index % query_heads, token = index / query_heads % padded_length;
    const int sequence = index / query_heads / padded_length;
    const std::int64_t to = (std::int64_t(sequence) * query_heads + head) * padded_length + token;
    float sum = 0, l = INFINITY;
    if (token < query_length) {
        const std::int64_t at =
            ((std::int64_t(sequence) * query_length + token) * query_heads + head) * kValueDim +
            lane * 4;
        const uint2 a = *reinterpret_cast<const uint2*>(o + at);
        const uint2 b = *reinterpret_cast<const uint2*>(d_o + at);
        const auto* x = reinterpret_cast<const __nv_bfloat162*>(&a);
        const auto* y = reinterpret_cast<const __nv_bfloat162*>(&b);
        for (int i = 0; i < 2; ++i) {
            const float2 u = __bfloat1622float2(x[i]), w = __bfloat1622float2(y[i]);
            sum += u.x * w.x + u.y * w.y;
        }
        sum = lane_sum(sum);
        l = stats[(std::int64_t(sequence) * query_heads + head) * query_length + token] * kLog2e;
    }
    if (lane == 0) {
        stats_log2[to] = l;
        row_sums[to] = sum;
    }
}

struct Operands {
    const Bf16 *q, *k, *v, *o, *d_o;
    const float* stats;
};

template <int kDim, bool kByKey>
cudaError_t launch(const Operands& x, Problem p, const AttentionForwardShape& s,
                   cudaStream_t stream) {
    using M = std::conditional_t<kByKey, KeyMemory<kDim>, QueryMemory<kDim>>;
    const std::int64_t lq = s.query_length, lk = s.key_length;
    const int q_rows = kByKey ? kQueries : kTile, k_rows = kByKey ? kTile : kKeys;
    CUtensorMap q_map, k_map, v_map, do_map;
    if (const auto e = make_token_map(q_map, x.q, s.sequences, lq, s.query_heads * kDim, q_rows))
        return e;
    if (const auto e =
            make_token_map(do_map, x.d_o, s.sequences, lq, s.query_heads * kValueDim, q_rows))
        return e;
    if (const auto e = make_token_map(k_map, x.k, s.sequences, lk, s.key_heads * kDim, k_rows))
        return e;
    if (const auto e = make_token_map(v_map, x.v, s.sequences, lk, s.key_heads * kValueDim, k_rows))
        return e;
    const auto kernel = attention_backward_kernel<kDim, kByKey>;
    if (const auto e =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, M::kBytes))
        return e;
    const std::int64_t heads = s.sequences * (kByKey ? s.key_heads : s.query_heads);
    const std::int64_t streamed = (kByKey ? lq * p.ratio : lk) * (kDim + kValueDim) * 2;
    const std::int64_t together = std::max<std::int64_t>(1, kBytesInL2 / streamed);
    p.heads = int(heads);
    p.heads_together = int(std::min(heads, kByKey ? together : together * p.ratio));
    p.blocks = int(((kByKey ? lk : lq) + kTile - 1) / kTile);
    const auto tiles = unsigned(heads * p.blocks);
    if constexpr (kByKey)
        kernel<<<tiles, kThreads, M::kBytes, stream>>>(k_map, v_map, q_map, do_map, p);
    else
        kernel<<<tiles, kThreads, M::kBytes, stream>>>(q_map, do_map, k_map, v_map, p);
    return cudaGetLastError();
}

template <int kDim>
cudaError_t run(const Operands& x, const Problem& p, const AttentionForwardShape& s,
                cudaStream_t stream) {
    const std::int64_t rows = s.sequences * s.query_heads * p.padded_length;
    attention_row_sums_kernel<<<unsigned((rows + 7) / 8), 256, 0, stream>>>(
        x.o, x.d_o, x.stats, const_cast<float*>(p.stats_log2), const_cast<float*>(p.row_sums),
        int(rows), p.query_heads, p.query_length, p.padded_length);
    if (const auto e = cudaGetLastError()) return e;
    if (const auto e = launch<kDim, true>(x, p, s, stream)) return e;
    return launch<kDim, false>(x, p, s, stream);
}

std::int64_t padded(std::int64_t length) { return (length + kTile - 1) / kTile * kTile; }

}  // namespace

std::int64_t attention_backward_workspace(const AttentionForwardShape& s) {
    return s.sequences * s.query_heads * padded(s.query_length) * 8;
}

cudaError_t attention_backward(const Bf16* q, const Bf16* k, const Bf16* v, const Bf16* o,
                               const Bf16* d_o, const float* stats, Bf16* dq, Bf16* dk, Bf16* dv,
                               const AttentionForwardShape& s, void* workspace,
                               cudaStream_t stream) {
    if ((s.query_key_dim != 192 && s.query_key_dim != 128) || s.value_dim != kValueDim ||
        s.key_heads < 1 || s.query_heads % s.key_heads ||
        (s.causal && s.query_length > s.key_length) || s.key_length < 1)
        return cudaErrorInvalidValue;
    const std::int64_t rows = s.sequences * s.query_heads * padded(s.query_length);
    if (rows == 0) return cudaSuccess;
    if (rows > INT32_MAX) return cudaErrorInvalidValue;
    float* statistics = static_cast<float*>(workspace);
    Problem p{};
    p.dq = dq;
    p.dk = dk;
    p.dv = dv;
    p.stats_log2 = statistics;
    p.row_sums = statistics + rows;
    p.query_heads = int(s.query_heads);
    p.key_heads = int(s.key_heads);
    p.ratio = int(s.query_heads / s.key_heads);
    p.query_length = int(s.query_length);
    p.key_length = int(s.key_length);
    p.padded_length = int(padded(s.query_length));
    p.scale = s.scale > 0 ? s.scale : 1 / std::sqrt(float(s.query_key_dim));
    p.scale_log2 = p.scale * kLog2e;
    p.causal = s.causal;
    const Operands x{q, k, v, o, d_o, stats};
    return s.query_key_dim == 192 ? run<192>(x, p, s, stream) : run<128>(x, p, s, stream);
}

}  // namespace orrery::kernels
