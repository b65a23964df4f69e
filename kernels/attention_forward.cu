#include <algorithm>
#include <cmath>

#include "kernels/attention_forward.hpp"
#include "kernels/attention_parts.cuh"

// A persistent kernel: one CTA an SM, of three warpgroups. A producer thread draws tiles (128
// queries of one head) from a counter, the longest first, and fills rings of key and value blocks
// (128 keys) through TMA. Two consumer warpgroups hold 64 queries each and run over the keys from
// the last visible block down: the scores of a block are multiplied while the weights of the block
// before it meet their values, and while one warpgroup takes exponentials the other one multiplies
// (barriers kTurn). Barrier full: the bytes have landed; empty: all eight consumer warps have read.

namespace orrery::kernels {
namespace {

constexpr int kThreads = 384, kRows = 128, kKeys = 128, kValueDim = 128, kStages = 2;
constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;
constexpr int kPanelBytes = 128 * kPanelRowBytes;
constexpr int kTurn = 1;  // named barriers kTurn and kTurn + 1: a warpgroup's turn to multiply
constexpr std::int64_t kKeyBytesInL2 = 24 << 20;  // heads run together: their keys stay in L2

struct Problem {
    Bf16* o;
    float* stats;
    int* next_tile;
    int query_heads, heads_per_key_head, query_length, key_length;
    int heads, blocks, heads_together, tiles;  // heads of all sequences; query blocks of one
    float scale, scale_log2;                   // log2: times log2(e)
    bool causal;
};

struct Tile {
    int sequence, head, first_query, key_blocks, last_key;  // last key that query 0 of it sees
};

__device__ Tile tile_at(const Problem& p, int index) {
    const int group = index / (p.blocks * p.heads_together);
    const int in_group = index - group * p.blocks * p.heads_together;
    const int together = min(p.heads_together, p.heads - group * p.heads_together);
    const int head = group * p.heads_together + in_group % together;
    Tile t;
    t.sequence = head / p.query_heads;
    t.head = head % p.query_heads;
    t.first_query = (p.blocks - 1 - in_group / together) * kRows;
    t.last_key = p.causal ? p.key_length - p.query_length + t.first_query : p.key_length - 1;
    const int seen = min(p.causal ? t.last_key + kRows : p.key_length, p.key_length);
    t.key_blocks = (seen + kKeys - 1) / kKeys;
    return t;
}

template <int kDim>
struct Memory {
    static constexpr int kPanels = kDim / kPanelColumns;
    static constexpr int kQBytes = kPanels * kPanelBytes, kKBytes = kQBytes;
    static constexpr int kVBytes = kValueDim / kPanelColumns * kPanelBytes;
    static constexpr int kBarriers = kQBytes + kStages * (kKBytes + kVBytes);
    static constexpr int kBytes = 1024 + kBarriers + 128;  // 1024: alignment

    std::uint32_t base;  // aligned to 1,024 bytes
    __device__ std::uint32_t q() const { return base; }
    __device__ std::uint32_t k(int stage) const { return base + kQBytes + stage * kKBytes; }
    __device__ std::uint32_t v(int stage) const {
        return base + kQBytes + kStages * kKBytes + stage * kVBytes;
    }
    __device__ std::uint32_t q_full() const { return base + kBarriers; }
    __device__ std::uint32_t q_empty() const { return q_full() + 8; }
    __device__ std::uint32_t tile() const { return q_full() + 16; }
    __device__ std::uint32_t k_full(int stage) const { return q_full() + 32 + stage * 32; }
    __device__ std::uint32_t k_empty(int stage) const { return k_full(stage) + 8; }
    __device__ std::uint32_t v_full(int stage) const { return k_full(stage) + 16; }
    __device__ std::uint32_t v_empty(int stage) const { return k_full(stage) + 24; }
};

struct Turn {
    int stage = 0;
    std::uint32_t phase = 0;
    __device__ void advance() {
        stage ^= 1;
        phase ^= stage == 0;
    }
};
static_assert(kStages == 2);

template <int kDim>
__device__ void produce(const CUtensorMap* q_map, const CUtensorMap* k_map,
                        const CUtensorMap* v_map, const Problem& p, Memory<kDim> m) {
    constexpr int kPanels = Memory<kDim>::kPanels;
    Turn keys;
    std::uint32_t q_phase = 0;
    for (int index = atomicAdd(p.next_tile, 1);; q_phase ^= 1) {
        barrier_wait(m.q_empty(), q_phase ^ 1);
        const bool some = index < p.tiles;
        asm volatile("st.shared.b32 [%0], %1;" ::"r"(m.tile()), "r"(some ? index : -1) : "memory");
        if (!some) {
            barrier_arrive(m.q_full());
            return;
        }
        const Tile t = tile_at(p, index);
        barrier_expect(m.q_full(), Memory<kDim>::kQBytes);
        copy_panels<kPanels, kRows>(m.q(), q_map, t.head * kDim, t.first_query, t.sequence,
                                    m.q_full());
        index = atomicAdd(p.next_tile, 1);
        const int key_head = t.head / p.heads_per_key_head;
        for (int block = t.key_blocks - 1; block >= 0; --block, keys.advance()) {
            const int s = keys.stage, token = block * kKeys;
            barrier_wait(m.k_empty(s), keys.phase ^ 1);
            barrier_expect(m.k_full(s), Memory<kDim>::kKBytes);
            copy_panels<kPanels, kKeys>(m.k(s), k_map, key_head * kDim, token, t.sequence,
                                        m.k_full(s));
            barrier_wait(m.v_empty(s), keys.phase ^ 1);
            barrier_expect(m.v_full(s), Memory<kDim>::kVBytes);
            copy_panels<2, kKeys>(m.v(s), v_map, key_head * kValueDim, token, t.sequence,
                                  m.v_full(s));
        }
    }
}

// What a thread keeps of its two rows.
struct Rows {
    float most[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};  // of scores; of this thread's weights
};

// Scores of keys that a row may not see: -infinity. column: of the block's first key less the last
// key of the thread's first row, with the thread's own columns.
__device__ __forceinline__ void mask(float (&s)[64], int column, int after_last) {
#pragma unroll
    for (int i = 0; i < 64; ++i) {
        const int key = i / 4 * 8 + i % 2;
        if (column + key > (i & 2 ? 8 : 0) || key >= after_last) s[i] = -INFINITY;
    }
}

// s becomes the weights exp(scale (s - most)); factor: what was summed so far shrinks by it.
__device__ __forceinline__ void weigh(float (&s)[64], Rows& rows, float (&factor)[2],
                                      float scale_log2) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        float most = rows.most[half];
#pragma unroll
        for (int j = 0; j < 16; ++j)
            most = fmaxf(most, fmaxf(s[4 * j + 2 * half], s[4 * j + 2 * half + 1]));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
        const float base = most == -INFINITY ? 0.f : most * scale_log2;  // nothing seen yet
        factor[half] = power_of_two(rows.most[half] * scale_log2 - base);
        rows.most[half] = most;
        float sum = 0;
#pragma unroll
        for (int j = 0; j < 16; ++j)
#pragma unroll
            for (int k = 0; k < 2; ++k) {
                float& x = s[4 * j + 2 * half + k];
                x = power_of_two(fmaf(x, scale_log2, -base));
                sum += x;
            }
        rows.sum[half] = rows.sum[half] * factor[half] + sum;
    }
}

template <int kDim>
__device__ __forceinline__ void multiply_scores(float (&s)[64], std::uint64_t q, std::uint64_t k) {
    asm volatile("" : "+l"(q));  // not to be kept in twelve registers throughout
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i) {
        const int at = i / 4 * (kPanelBytes / 16) + i % 4 * 2;
        wgmma_product(s, q + at, k + at, i > 0);
    }
    wgmma_commit();
}
__device__ __forceinline__ void multiply_values(float (&o)[64], const std::uint32_t (&w)[32],
                                                std::uint64_t v, bool add) {
#pragma unroll
    for (int i = 0; i < kKeys / 16; ++i) wgmma_weighted(o, w + 4 * i, v + 128 * i, add || i > 0);
    wgmma_commit();
}

// o / sum and the statistics of the thread's two rows; `row`: the first of them in the sequence.
__device__ __forceinline__ void store(const float (&o)[64], const Rows& rows, const Problem& p,
                                      const Tile& t, int row) {
    const int q = int(threadIdx.x) % 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        float sum = rows.sum[half];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        const float inverse = 1 / sum;
        const int at = row + 8 * half;
        const bool inside = at < p.query_length;
        Bf16* out =
            p.o +
            ((std::int64_t(t.sequence) * p.query_length + at) * p.query_heads + t.head) * kValueDim;
#pragma unroll
        for (int four = 0; four < 4; ++four) {
            std::uint32_t w[4];
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const int i = (four * 4 + j) * 4 + half * 2;
                w[j] = pack(o[i] * inverse, o[i + 1] * inverse);
            }
            gather_in_quad(w, q);
            if (inside)
                *reinterpret_cast<uint4*>(out + four * 32 + q * 8) =
                    make_uint4(w[0], w[1], w[2], w[3]);
        }
        if (inside && q == 0)
            p.stats[(std::int64_t(t.sequence) * p.query_heads + t.head) * p.query_length + at] =
                rows.most[half] * p.scale + logf(sum);
    }
}

template <int kDim>
__device__ void consume(const Problem& p, Memory<kDim> m) {
    const int group = __shfl_sync(0xffffffffu, int(threadIdx.x) / 128, 0);  // uniform
    const int lane = int(threadIdx.x) % 32;
    const int my_row = group * 64 + int(threadIdx.x) / 32 % 4 * 16 + lane / 4;
    const int my_column = lane % 4 * 2;
    const std::uint64_t q = summed_along(m.q() + group * 64 * 128);
    const auto wait_turn = [&] {
        asm volatile("bar.sync %0, 256;" ::"r"(kTurn + group) : "memory");
    };
    const auto give_turn = [&](int to) {
        asm volatile("bar.arrive %0, 256;" ::"r"(kTurn + to) : "memory");
    };
    const auto leave = [&](std::uint32_t barrier) {
        if (lane == 0) barrier_arrive(barrier);
    };
    if (group == 1) give_turn(0);
    Turn keys;  // of the block whose scores come next; its values are one block behind
    for (std::uint32_t q_phase = 0;; q_phase ^= 1) {
        barrier_wait(m.q_full(), q_phase);
        int index;
        asm volatile("ld.shared.b32 %0, [%1];" : "=r"(index) : "r"(m.tile()) : "memory");
        if (index < 0) return;
        const Tile t = tile_at(p, index);
        float s[64], o[64], factor[2];
        std::uint32_t weights[32];
        Rows rows;
        const auto mask_block = [&](int block) {
            const int first = block * kKeys;
            const int last = t.last_key + (p.causal ? group * 64 : 0);
            if (first + kKeys - 1 <= last && first + kKeys <= p.key_length) return;
            const int limit = t.last_key + (p.causal ? my_row : kKeys);
            mask(s, first + my_column - limit, p.key_length - first - my_column);
        };
        const auto take_weights = [&] {
#pragma unroll
            for (int i = 0; i < 32; ++i) weights[i] = pack(s[2 * i], s[2 * i + 1]);
        };
        barrier_wait(m.k_full(keys.stage), keys.phase);
        pin(s);
        wgmma_fence();
        multiply_scores<kDim>(s, q, summed_along(m.k(keys.stage)));
        wgmma_wait<0>();
        pin(s);
        leave(m.k_empty(keys.stage));
        if (t.key_blocks == 1) leave(m.q_empty());
        mask_block(t.key_blocks - 1);
        weigh(s, rows, factor, p.scale_log2);
        take_weights();
        for (int block = t.key_blocks - 2; block >= 0; --block) {
            const Turn values = keys;
            keys.advance();
            wait_turn();
            barrier_wait(m.k_full(keys.stage), keys.phase);
            pin(s);
            pin(o);
            wgmma_fence();
            multiply_scores<kDim>(s, q, summed_along(m.k(keys.stage)));
            barrier_wait(m.v_full(values.stage), values.phase);
            multiply_values(o, weights, summed_down<kKeys>(m.v(values.stage)),
                            block < t.key_blocks - 2);
            give_turn(group ^ 1);
            wgmma_wait<1>();
            pin(s);
            leave(m.k_empty(keys.stage));
            if (block == 0) leave(m.q_empty());
            mask_block(block);
            weigh(s, rows, factor, p.scale_log2);
            wgmma_wait<0>();
            pin(o);
            leave(m.v_empty(values.stage));
#pragma unroll
            for (int i = 0; i < 64; ++i) o[i] *= factor[i / 2 % 2];
            take_weights();
        }
        barrier_wait(m.v_full(keys.stage), keys.phase);
        pin(o);
        wgmma_fence();
        multiply_values(o, weights, summed_down<kKeys>(m.v(keys.stage)), t.key_blocks > 1);
        wgmma_wait<0>();
        pin(o);
        leave(m.v_empty(keys.stage));
        keys.advance();
        store(o, rows, p, t, t.first_query + my_row);
    }
}

template <int kDim>
__global__ __launch_bounds__(kThreads, 1) void attention_forward_kernel(
    const __grid_constant__ CUtensorMap q_map, const __grid_constant__ CUtensorMap k_map,
    const __grid_constant__ CUtensorMap v_map, const __grid_constant__ Problem p) {
    extern __shared__ char raw[];
    const Memory<kDim> m{(shared_address(raw) + 1023) / 1024 * 1024};
    if (threadIdx.x == 0) {
        prefetch_map(&q_map);
        prefetch_map(&k_map);
        prefetch_map(&v_map);
        barrier_init(m.q_full(), 1);
        barrier_init(m.q_empty(), 8);  // consumer warps
        for (int s = 0; s < kStages; ++s) {
            barrier_init(m.k_full(s), 1);
            barrier_init(m.k_empty(s), 8);
            barrier_init(m.v_full(s), 1);
            barrier_init(m.v_empty(s), 8);
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x >= 256) {
        give_registers<kProducerRegisters>();
        if (threadIdx.x == 256) produce<kDim>(&q_map, &k_map, &v_map, p, m);
    } else {
        take_registers<kConsumerRegisters>();
        consume<kDim>(p, m);
    }
}

template <int kDim>
cudaError_t launch(const Bf16* q, const Bf16* k, const Bf16* v, const Problem& p,
                   const AttentionForwardShape& s, cudaStream_t stream) {
    static_assert(Memory<kDim>::kBytes <= 232448);
    CUtensorMap q_map, k_map, v_map;
    if (const auto e =
            make_token_map(q_map, q, s.sequences, s.query_length, s.query_heads * kDim, kRows))
        return e;
    if (const auto e =
            make_token_map(k_map, k, s.sequences, s.key_length, s.key_heads * kDim, kKeys))
        return e;
    if (const auto e =
            make_token_map(v_map, v, s.sequences, s.key_length, s.key_heads * kValueDim, kKeys))
        return e;
    const auto kernel = attention_forward_kernel<kDim>;
    if (const auto e = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                            Memory<kDim>::kBytes))
        return e;
    if (const auto e = cudaMemsetAsync(p.next_tile, 0, 4, stream)) return e;
    int device = 0, sms = s.sms;
    cudaGetDevice(&device);
    if (sms == 0) cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
    kernel<<<std::min(sms, p.tiles), kThreads, Memory<kDim>::kBytes, stream>>>(q_map, k_map, v_map,
                                                                               p);
    return cudaGetLastError();
}

}  // namespace

cudaError_t attention_forward(const Bf16* q, const Bf16* k, const Bf16* v, Bf16* o, float* stats,
                              const AttentionForwardShape& s, void* workspace,
                              cudaStream_t stream) {
    if ((s.query_key_dim != 192 && s.query_key_dim != 128) || s.value_dim != kValueDim ||
        s.key_heads < 1 || s.query_heads % s.key_heads ||
        (s.causal && s.query_length > s.key_length) || s.key_length < 1)
        return cudaErrorInvalidValue;
    const std::int64_t heads = s.sequences * s.query_heads, ratio = s.query_heads / s.key_heads;
    const std::int64_t blocks = (s.query_length + kRows - 1) / kRows, tiles = heads * blocks;
    if (tiles == 0) return cudaSuccess;
    if (tiles > INT32_MAX) return cudaErrorInvalidValue;
    const std::int64_t key_bytes = s.key_length * (s.query_key_dim + s.value_dim) * 2;
    const std::int64_t together = std::max<std::int64_t>(1, kKeyBytesInL2 / key_bytes) * ratio;
    const float scale = s.scale > 0 ? s.scale : 1 / std::sqrt(float(s.query_key_dim));
    const Problem p{o,
                    stats,
                    static_cast<int*>(workspace),
                    int(s.query_heads),
                    int(ratio),
                    int(s.query_length),
                    int(s.key_length),
                    int(heads),
                    int(blocks),
                    int(std::min(together, heads)),
                    int(tiles),
                    scale,
                    scale * kLog2e,
                    s.causal};
    return s.query_key_dim == 192 ? launch<192>(q, k, v, p, s, stream)
                                  : launch<128>(q, k, v, p, s, stream);
}

}  // namespace orrery::kernels
