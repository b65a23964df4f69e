#include <algorithm>

#include "kernels/decode_shares.cuh"
#include "kernels/tensor_map.cuh"
#include "kernels/wgmma_bf16.cuh"

// A persistent kernel, one CTA an SM, for 64 rows (query tokens x heads; fewer are padded) and one
// share of the keys. Four warpgroups: scores S = Q K^T of 64 keys, their maxima and exponentials P;
// left and right half of O += P V, 64 x 256 a warpgroup; and one thread that keeps two tiles of 64
// keys coming through TMA. A tile is nine pieces of 64 keys x 64 values: 0-3 the left half of the
// values, 4-7 the right, 8 the rope part, which only the scores read. Where rows need several
// groups of 64, neighbouring CTAs take the same share and meet in L2.
//
// Barriers: loaded[b][i], piece i of buffer b has landed; freed[b][0-2], rope, left and right of
// buffer b may be overwritten; p_full, P and its factors are written (at the end of an item: the
// factors only); p_empty, both halves have read them; q_full, q_empty.
//
// P V (and the factors of old sums) are skipped nowhere; multiplying O by factors is, for a warp
// whose 16 rows all keep their maximum.

namespace orrery::kernels {
namespace {

constexpr int kDim = 576, kValueDim = 512, kPieces = kDim / 64, kRope = 8;
constexpr int kThreads = 512, kBuffers = 2, kRows = 64;
constexpr int kTileBytes = kPieces * kPieceBytes;
constexpr int kScoreRegisters = 120, kValueRegisters = 176, kLoadRegisters = 40;

struct Problem {
    Shares shares;
    const std::int32_t* blocks;
    int table_stride, rows, groups;  // rows of a request; groups of 64 of them
    int tokens, heads;
    float scale;  // times log2(e)
    Bf16* out;
    float* log_sum_exp;
    Parts parts;
};

// Shared memory, by offset from a base aligned to 1,024.
struct Shared {
    std::uint32_t base;
    static constexpr int kP = (1 + kBuffers) * kTileBytes, kFactors = kP + kPieceBytes,
                         kBarriers = kFactors + kRows * 4, kBarrierCount = kBuffers * 12 + 4,
                         kScratch = kBarriers + kBarrierCount * 8,
                         kBytes = kScratch + 34 * 4 + int(sizeof(Span));
    __device__ std::uint32_t q(int piece) const { return base + piece * kPieceBytes; }
    __device__ std::uint32_t tile(int buffer, int piece) const {
        return base + (1 + buffer) * kTileBytes + piece * kPieceBytes;
    }
    __device__ std::uint32_t p() const { return base + kP; }
    __device__ std::uint32_t factor(int row) const { return base + kFactors + row * 4; }
    __device__ std::uint32_t barrier(int i) const { return base + kBarriers + i * 8; }
    __device__ std::uint32_t loaded(int buffer, int piece) const {
        return barrier(buffer * 12 + piece);
    }
    __device__ std::uint32_t freed(int buffer, int part) const {
        return barrier(buffer * 12 + 9 + part);
    }
    __device__ std::uint32_t p_full() const { return barrier(kBuffers * 12); }
    __device__ std::uint32_t p_empty() const { return barrier(kBuffers * 12 + 1); }
    __device__ std::uint32_t q_full() const { return barrier(kBuffers * 12 + 2); }
    __device__ std::uint32_t q_empty() const { return barrier(kBuffers * 12 + 3); }
};

// Counts uses of a ring of two or of one: which buffer, and the parity to wait for.
struct Turn {
    int count = 0;
    __device__ int buffer() const { return count % kBuffers; }
    __device__ std::uint32_t filled() const { return count / kBuffers % 2; }
    __device__ std::uint32_t emptied() const { return filled() ^ 1; }
};

__device__ __forceinline__ void store_shared(std::uint32_t address, std::uint32_t v) {
    asm volatile("st.shared.b32 [%0], %1;" ::"r"(address), "r"(v) : "memory");
}
__device__ __forceinline__ void clear_shared(std::uint32_t address) {
    asm volatile("st.shared.v4.b32 [%0], {%1, %1, %1, %1};" ::"r"(address), "r"(0) : "memory");
}
__device__ __forceinline__ std::uint32_t pack(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
}
template <int kCount>
__device__ __forceinline__ void pin(float (&d)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

// ---- one warp: queries and keys through TMA

__device__ __forceinline__ void produce(const CUtensorMap* q_map, const CUtensorMap* key_map,
                                        const Problem& p, const Shared& s, const Span& span,
                                        int group) {
    const int lane = int(threadIdx.x) % 32;
    const int q_rows = min(p.rows, kRows);
    Pieces pieces(p.shares, span);
    Piece piece;
    Turn turn;
    for (int items = 0; pieces.next(piece); ++items) {
        if (lane == 0 && piece.begin < piece.end) {
            barrier_wait(s.q_empty(), items % 2 ^ 1);
            barrier_expect(s.q_full(), kPieces * q_rows * 128);
            for (int i = 0; i < kPieces; ++i)
                copy_box(s.q(i), q_map, i * 64, piece.request * p.rows + group * kRows, s.q_full());
        } else if (piece.begin == piece.end) {
            --items;
        }
        TileBlocks blocks(p.blocks + std::int64_t(piece.request) * p.table_stride, piece.begin,
                          piece.end);
        for (int tile = piece.begin; tile < piece.end; ++tile, ++turn.count) {
            const int row = blocks(tile) * kTileKeys;
            if (lane == 0) {
                const int b = turn.buffer();
#pragma unroll
                for (int n = 0; n < kPieces; ++n) {
                    const int i = n == 0 ? kRope : n - 1;  // the rope part is free first
                    if (n == 0) barrier_wait(s.freed(b, 0), turn.emptied());
                    if (n == 1) barrier_wait(s.freed(b, 1), turn.emptied());
                    if (n == 5) barrier_wait(s.freed(b, 2), turn.emptied());
                    barrier_expect(s.loaded(b, i), kPieceBytes);
                    copy_box(s.tile(b, i), key_map, i * 64, row, s.loaded(b, i));
                }
            }
            __syncwarp();
        }
    }
}

// ---- one warpgroup: scores, maxima, exponentials

// The two rows of a lane of the score warpgroup.
struct Rows {
    float highest[2], sum[2];  // of the scaled scores; of the exponentials this lane made
};

__device__ __forceinline__ float quad_max(float v) {
    v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
    return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
}
__device__ __forceinline__ float quad_sum(float v) {
    v += __shfl_xor_sync(0xffffffffu, v, 1);
    return v + __shfl_xor_sync(0xffffffffu, v, 2);
}

// s becomes exponentials; factor: by what older sums shrink.
__device__ __forceinline__ void exponentials(float (&s)[32], Rows& rows, float (&factor)[2],
                                             float scale) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        float highest = -INFINITY;
#pragma unroll
        for (int j = 0; j < 8; ++j)
            highest = fmaxf(highest, fmaxf(s[4 * j + 2 * half], s[4 * j + 2 * half + 1]));
        highest = fmaxf(quad_max(highest) * scale, rows.highest[half]);
        const float base = highest == -INFINITY ? 0 : highest;
        factor[half] = exp2_fast(rows.highest[half] - base);
        rows.highest[half] = highest;
        float sum = 0;
#pragma unroll
        for (int j = 0; j < 8; ++j)
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                float& v = s[4 * j + 2 * half + i];
                v = exp2_fast(fmaf(v, scale, -base));
                sum += v;
            }
        rows.sum[half] = rows.sum[half] * factor[half] + sum;
    }
}

// Keys that a row may not see.
__device__ __forceinline__ void mask(float (&s)[32], const Problem& p, int first_key, int length,
                                     int row) {
    const int column = first_key + int(threadIdx.x) % 4 * 2;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int token = (row + 8 * half) / p.heads;
        const int seen = length - max(p.tokens - 1 - token, 0);
#pragma unroll
        for (int j = 0; j < 8; ++j)
#pragma unroll
            for (int i = 0; i < 2; ++i)
                if (column + 8 * j + i >= seen) s[4 * j + 2 * half + i] = -INFINITY;
    }
}

__device__ __forceinline__ void write_p(const float (&s)[32], const Shared& shared, int row) {
    const int q = int(threadIdx.x) % 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int r = row + 8 * half;
        const std::uint32_t line = shared.p() + r * 128 + q * 4;
#pragma unroll
        for (int j = 0; j < 8; ++j)
            store_shared(line + ((j ^ (r & 7)) << 4),
                         pack(s[4 * j + 2 * half], s[4 * j + 2 * half + 1]));
    }
}

__device__ __forceinline__ void write_factors(const Shared& s, int row, float upper, float lower) {
    if (threadIdx.x % 4 != 0) return;
    store_shared(s.factor(row), __float_as_uint(upper));
    store_shared(s.factor(row + 8), __float_as_uint(lower));
}

__device__ __forceinline__ void multiply_scores(float (&d)[32], const Shared& s, const Turn& turn) {
    const int b = turn.buffer();
    pin(d);
    wgmma_fence();
#pragma unroll
    for (int n = 0; n < kPieces; ++n) {
        const int i = n == 0 ? kRope : n - 1;
        barrier_wait(s.loaded(b, i), turn.filled());
        const std::uint64_t q = along_k(s.q(i)), k = along_k(s.tile(b, i));
#pragma unroll
        for (int step = 0; step < 4; ++step)
            wgmma_64x64x16(d, q + 2 * step, k + 2 * step, n + step > 0);
    }
    wgmma_commit();
    pin(d);
    wgmma_wait<0>();
    pin(d);
}

// l: base-2 logarithm of a row's sum of exponentials.
__device__ __forceinline__ void store_sum(const Problem& p, const Piece& piece, int share, int row,
                                          float l) {
    if (!piece.whole())
        p.parts.l[std::int64_t(piece.slot(share)) * p.rows + row] = l;
    else if (p.log_sum_exp)
        p.log_sum_exp[std::int64_t(piece.request) * p.rows + row] = l * 0.69314718f;
}

__device__ __forceinline__ void score(const Problem& p, const Shared& s, const Span& span,
                                      int share, int group) {
    const int lane = int(threadIdx.x) % 32, row = int(threadIdx.x) / 32 % 4 * 16 + lane / 4;
    Pieces pieces(p.shares, span);
    Piece piece;
    Turn turn;
    int messages = 0, items = 0;
    float d[32];
    while (pieces.next(piece)) {
        Rows rows{{-INFINITY, -INFINITY}, {0, 0}};
        if (piece.begin < piece.end) barrier_wait(s.q_full(), items++ % 2);
        for (int tile = piece.begin; tile < piece.end; ++tile, ++turn.count, ++messages) {
            multiply_scores(d, s, turn);
            if (lane == 0) barrier_arrive(s.freed(turn.buffer(), 0));
            if (lane == 0 && tile + 1 == piece.end) barrier_arrive(s.q_empty());
            const int first = tile * kTileKeys;
            if (first + kTileKeys > piece.length - p.tokens + 1)
                mask(d, p, first, piece.length, group * kRows + row);
            float factor[2];
            exponentials(d, rows, factor, p.scale);
            barrier_wait(s.p_empty(), messages % 2 ^ 1);
            write_p(d, s, row);
            write_factors(s, row, factor[0], factor[1]);
            fence_async_proxy();
            __syncwarp();
            if (lane == 0) barrier_arrive(s.p_full());
        }
        const float sum[2] = {quad_sum(rows.sum[0]), quad_sum(rows.sum[1])};
        barrier_wait(s.p_empty(), messages % 2 ^ 1);
        write_factors(s, row, sum[0] > 0 ? 1 / sum[0] : 0, sum[1] > 0 ? 1 / sum[1] : 0);
        __syncwarp();
        if (lane == 0) barrier_arrive(s.p_full());
        ++messages;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int r = group * kRows + row + 8 * half;
            const float l = rows.highest[half] + log2f(sum[half]);  // -inf where nothing was seen
            if (lane % 4 == 0 && r < p.rows) store_sum(p, piece, share, r, l);
        }
        __syncwarp();
    }
}

// ---- two warpgroups: half of the values each

// 8 x 8 words of a quad's rows turned so that each lane stores 16 bytes.
__device__ __forceinline__ void store_bf16(const float (&o)[2][64], Bf16* to, int row, int rows,
                                           const float (&factor)[2]) {
    const int q = int(threadIdx.x) % 4;
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int four = 0; four < 8; ++four) {
            std::uint32_t w[4];
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const int i = (four * 4 + j) * 4 + half * 2;
                w[j] = pack(o[i / 64][i % 64] * factor[half], o[i / 64][i % 64 + 1] * factor[half]);
            }
#pragma unroll
            for (int step = 1; step <= 2; step *= 2)
#pragma unroll
                for (int j = 0; j < 4; ++j) {
                    if (j & step) continue;
                    const bool high = q & step;
                    const std::uint32_t got =
                        __shfl_xor_sync(0xffffffffu, high ? w[j] : w[j | step], step);
                    w[j] = high ? got : w[j];
                    w[j | step] = high ? w[j | step] : got;
                }
            if (row + half * 8 < rows)
                *reinterpret_cast<uint4*>(to + std::int64_t(row + half * 8) * kValueDim +
                                          four * 32 + q * 8) = make_uint4(w[0], w[1], w[2], w[3]);
        }
}
__device__ __forceinline__ void store_part(const float (&o)[2][64], float* to, int row, int rows,
                                           const float (&factor)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        if (row + half * 8 >= rows) continue;
        float* at = to + std::int64_t(row + half * 8) * kValueDim + int(threadIdx.x) % 4 * 2;
#pragma unroll
        for (int j = 0; j < 32; ++j)
            *reinterpret_cast<float2*>(at + 8 * j) =
                make_float2(o[j / 16][j % 16 * 4 + 2 * half] * factor[half],
                            o[j / 16][j % 16 * 4 + 2 * half + 1] * factor[half]);
    }
}

// Keys past the end of a request hold anything, and 0 x NaN is NaN: they become 0. Whole warpgroup.
__device__ __forceinline__ void clear_rows(const Shared& s, int buffer, int side, int keys) {
    const int chunks = (kTileKeys - keys) * 8;  // of 16 bytes, a piece
    for (int i = int(threadIdx.x) % 128; i < 4 * chunks; i += 128)
        clear_shared(s.tile(buffer, 4 * side + i / chunks) + keys * 128 + i % chunks * 16);
    fence_async_proxy();
    if (side == 0)
        asm volatile("bar.sync 1, 128;" ::: "memory");
    else
        asm volatile("bar.sync 2, 128;" ::: "memory");
}

__device__ __forceinline__ void multiply_values(float (&o)[2][64], const Shared& s, int buffer,
                                                int side) {
    pin(o[0]);
    pin(o[1]);
    wgmma_fence();
    const std::uint64_t a = along_k(s.p()), b = across_k(s.tile(buffer, 4 * side));
#pragma unroll
    for (int step = 0; step < 4; ++step) {
        wgmma_64x128x16(o[0], a + 2 * step, b + 128 * step, 1);
        wgmma_64x128x16(o[1], a + 2 * step, b + 2 * (kPieceBytes >> 4) + 128 * step, 1);
    }
    wgmma_commit();
    pin(o[0]);
    pin(o[1]);
    wgmma_wait<0>();
    pin(o[0]);
    pin(o[1]);
}

__device__ __forceinline__ void add_values(const Problem& p, const Shared& s, const Span& span,
                                           int share, int group, int side) {
    const int lane = int(threadIdx.x) % 32, row = int(threadIdx.x) / 32 % 4 * 16 + lane / 4;
    Pieces pieces(p.shares, span);
    Piece piece;
    Turn turn;
    int messages = 0;
    float o[2][64], factor[2];
    while (pieces.next(piece)) {
#pragma unroll
        for (int i = 0; i < 128; ++i) o[i / 64][i % 64] = 0;
        for (int tile = piece.begin; tile < piece.end; ++tile, ++turn.count, ++messages) {
            const int b = turn.buffer();
            barrier_wait(s.p_full(), messages % 2);
#pragma unroll
            for (int i = 0; i < 4; ++i) barrier_wait(s.loaded(b, 4 * side + i), turn.filled());
            const int keys = piece.length - tile * kTileKeys;
            if (keys < kTileKeys) clear_rows(s, b, side, keys);
            factor[0] = load_shared(s.factor(row));
            factor[1] = load_shared(s.factor(row + 8));
            if (__any_sync(0xffffffffu, factor[0] != 1 || factor[1] != 1)) {
#pragma unroll
                for (int i = 0; i < 128; ++i) o[i / 64][i % 64] *= factor[i / 2 % 2];
            }
            multiply_values(o, s, b, side);
            if (lane == 0) {
                barrier_arrive(s.p_empty());
                barrier_arrive(s.freed(b, 1 + side));
            }
        }
        barrier_wait(s.p_full(), messages++ % 2);
        factor[0] = load_shared(s.factor(row));
        factor[1] = load_shared(s.factor(row + 8));
        __syncwarp();
        if (lane == 0) barrier_arrive(s.p_empty());
        const std::int64_t first = group * kRows;
        const int rows = p.rows - group * kRows;
        if (piece.whole())
            store_bf16(
                o, p.out + (piece.request * std::int64_t(p.rows) + first) * kValueDim + side * 256,
                row, rows, factor);
        else
            store_part(o,
                       p.parts.o + (piece.slot(share) * std::int64_t(p.rows) + first) * kValueDim +
                           side * 256,
                       row, rows, factor);
    }
}

__device__ __forceinline__ void init_barriers(const Shared& s) {
    for (int b = 0; b < kBuffers; ++b) {
        for (int i = 0; i < kPieces; ++i) barrier_init(s.loaded(b, i), 1);
        for (int i = 0; i < 3; ++i) barrier_init(s.freed(b, i), 4);  // warps
    }
    barrier_init(s.p_full(), 4);
    barrier_init(s.p_empty(), 8);
    barrier_init(s.q_full(), 1);
    barrier_init(s.q_empty(), 4);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__global__ __launch_bounds__(kThreads,
                             1) void mla_kernel(const __grid_constant__ CUtensorMap q_map,
                                                const __grid_constant__ CUtensorMap key_map,
                                                const __grid_constant__ Problem p) {
    extern __shared__ char raw[];
    const Shared s{(shared_address(raw) + 1023) / 1024 * 1024};
    char* const base = raw + (s.base - shared_address(raw));
    Span* const span = reinterpret_cast<Span*>(base + Shared::kScratch + 34 * 4);
    const int share = int(blockIdx.x) / p.groups, group = int(blockIdx.x) % p.groups;
    if (threadIdx.x == 0) {
        prefetch_map(&q_map);
        prefetch_map(&key_map);
        init_barriers(s);
    }
    if (p.rows < kRows)  // the padded rows
        for (int i = int(threadIdx.x); i < kTileBytes / 16; i += kThreads)
            clear_shared(s.base + i * 16);
    fence_async_proxy();
    find_span<kThreads>(p.shares, share, reinterpret_cast<int*>(base + Shared::kScratch), span);
    const int warpgroup = __shfl_sync(0xffffffffu, int(threadIdx.x) / 128, 0);
    if (warpgroup == 0) {
        give_registers<kScoreRegisters>();
        if (threadIdx.x == 0 && group == 0) p.parts.cuts[share] = cut_of(p.shares, *span);
        score(p, s, *span, share, group);
    } else if (warpgroup == 3) {
        give_registers<kLoadRegisters>();
        if (threadIdx.x < 416) produce(&q_map, &key_map, p, s, *span, group);
    } else {
        take_registers<kValueRegisters>();
        add_values(p, s, *span, share, group, warpgroup - 1);
    }
}

struct Sizes {
    int rows, groups, shares;
};
Sizes sizes_of(const DecodeShape& s) {
    const int rows = s.query_tokens * s.query_heads, groups = blocks_for(rows, kRows);
    const int sms = s.sms > 0 ? s.sms : device_sm_count();
    return {rows, groups, std::max(1, sms / groups)};
}

}  // namespace

std::size_t mla_decode_workspace(const DecodeShape& shape) {
    const Sizes z = sizes_of(shape);
    return parts_bytes(z.shares, z.rows, kValueDim);
}

cudaError_t mla_decode(const Bf16* q, const Bf16* cache, const PagedKeys& keys, Bf16* out,
                       float* log_sum_exp, void* workspace, const DecodeShape& shape,
                       cudaStream_t stream) {
    if (shape.query_heads < 1 || shape.query_tokens < 1 || shape.key_heads != 1 ||
        shape.cache_blocks < 1)
        return cudaErrorInvalidValue;
    const Sizes z = sizes_of(shape);
    if (shape.requests < 1) return cudaSuccess;
    CUtensorMap q_map, key_map;
    if (const auto e = make_bf16_map(q_map, q, std::int64_t(shape.requests) * z.rows, kDim,
                                     std::min(z.rows, kRows)))
        return e;
    if (const auto e =
            make_bf16_map(key_map, cache, shape.cache_blocks * kTileKeys, kDim, kTileKeys))
        return e;
    constexpr int kSharedBytes = Shared::kBytes + 1024;
    static_assert(kSharedBytes <= 232448);
    if (const auto e = cudaFuncSetAttribute(mla_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                            kSharedBytes))
        return e;
    const Parts parts = parts_in(workspace, z.shares, z.rows, kValueDim);
    const Problem p{{keys.lengths, shape.requests, 1, z.shares},
                    keys.blocks,
                    shape.table_stride,
                    z.rows,
                    z.groups,
                    shape.query_tokens,
                    shape.query_heads,
                    shape.scale * 1.44269504f,
                    out,
                    log_sum_exp,
                    parts};
    mla_kernel<<<unsigned(z.shares * z.groups), kThreads, kSharedBytes, stream>>>(q_map, key_map,
                                                                                  p);
    if (const auto e = cudaGetLastError()) return e;
    return combine_decode(parts, z.shares, z.rows, kValueDim, 1, shape.query_heads, out,
                          log_sum_exp, stream);
}

}  // namespace orrery::kernels
