#include <algorithm>

#include "kernels/decode_shares.cuh"
#include "kernels/hopper.cuh"
#include "kernels/tensor_map.cuh"

// A persistent kernel, two CTAs an SM, each with one share of the (request, key head) line. A
// producer warp keeps a ring of stages filled through TMA, a stage being 64 keys and their values;
// four warps take 16 keys of each, with maxima, sums and O [16, 128] of their own (mma.sync, the
// query rows of the key head padded to 16), which are added up at the end of a piece.

namespace orrery::kernels {
namespace {

constexpr int kDim = 128, kRows = 16, kWarps = 4, kThreads = 32 * (kWarps + 1), kStages = 3;
constexpr int kPieceBytes = 64 * 128, kStageBytes = 4 * kPieceBytes;  // 64 keys x 64 values
constexpr int kSliceColumns = 32;                                     // added up at a time

struct Problem {
    Shares shares;
    const std::int32_t* blocks;
    int table_stride, tokens, group;  // group: query heads a key head
    const Bf16* q;
    float scale;  // times log2(e)
    Bf16* out;
    float* log_sum_exp;
    Parts parts;
};

struct Shared {
    alignas(1024) char stages[kStages][kStageBytes];
    float slices[kWarps][kRows][kSliceColumns];
    float highest[kWarps][kRows], sum[kWarps][kRows];
    std::uint64_t full[kStages], empty[kStages];
    int scratch[34];
    Span span;
};

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

__device__ __forceinline__ void consumers_sync() { asm volatile("bar.sync 1, 128;" ::: "memory"); }

// d[16 x 8] += a[16 x 16] b[16 x 8]: lane l holds rows l / 4 (d[0], d[1]) and l / 4 + 8, columns
// 2 (l % 4) and the next.
__device__ __forceinline__ void mma(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                    std::uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void load_matrices(std::uint32_t (&r)[4], std::uint32_t address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}
__device__ __forceinline__ void load_transposed(std::uint32_t (&r)[4], std::uint32_t address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}
__device__ __forceinline__ std::uint32_t pack(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
}
// 8 values (16 bytes) of a key: column 8 chunk of 128, in the two swizzled pieces at `tile`.
__device__ __forceinline__ std::uint32_t chunk_at(std::uint32_t tile, int key, int chunk) {
    return tile + chunk / 8 * kPieceBytes + key * 128 + (((chunk ^ key) & 7) << 4);
}

__device__ __forceinline__ void produce(const CUtensorMap* key_map, const CUtensorMap* value_map,
                                        const Problem& p, Shared& s) {
    const int lane = int(threadIdx.x) % 32;
    Pieces pieces(p.shares, s.span);
    Piece piece;
    Turn turn;
    while (pieces.next(piece)) {
        TileBlocks blocks(p.blocks + std::int64_t(piece.request) * p.table_stride, piece.begin,
                          piece.end);
        for (int tile = piece.begin; tile < piece.end; ++tile, turn.advance()) {
            const int row = (blocks(tile) * p.shares.heads + piece.head) * kTileKeys;
            if (lane == 0) {
                const std::uint32_t to = shared_address(s.stages[turn.stage]),
                                    full = shared_address(&s.full[turn.stage]);
                barrier_wait(shared_address(&s.empty[turn.stage]), turn.phase ^ 1);
                barrier_expect(full, kStageBytes);
                copy_box(to, key_map, 0, row, full);
                copy_box(to + kPieceBytes, key_map, 64, row, full);
                copy_box(to + 2 * kPieceBytes, value_map, 0, row, full);
                copy_box(to + 3 * kPieceBytes, value_map, 64, row, full);
            }
            __syncwarp();
        }
    }
}

// What a warp holds of a piece: query, output and statistics of rows lane / 4 and lane / 4 + 8.
struct State {
    std::uint32_t q[8][4];
    float o[16][4];
    float highest[2], sum[2];
};

__device__ __forceinline__ std::int64_t row_in_output(const Problem& p, const Piece& piece, int r) {
    return (std::int64_t(piece.request * p.tokens + r / p.group) * p.shares.heads + piece.head) *
               p.group +
           r % p.group;
}

__device__ __forceinline__ void start(State& w, const Problem& p, const Piece& piece) {
    const int lane = int(threadIdx.x) % 32, rows = p.tokens * p.group;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int r = lane / 4 + 8 * half;
        const Bf16* q = p.q + row_in_output(p, piece, r) * kDim + lane % 4 * 2;
#pragma unroll
        for (int k = 0; k < 8; ++k)
#pragma unroll
            for (int high = 0; high < 2; ++high)
                w.q[k][2 * high + half] =
                    r < rows ? *reinterpret_cast<const std::uint32_t*>(q + 16 * k + 8 * high) : 0;
        w.highest[half] = -INFINITY;
        w.sum[half] = 0;
    }
#pragma unroll
    for (int i = 0; i < 16; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) w.o[i][j] = 0;
}

// Scores of this warp's 16 keys become exponentials; older sums shrink where a maximum grew.
__device__ __forceinline__ void exponentials(State& w, float (&s)[2][4], float scale) {
    float factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        float highest = fmaxf(fmaxf(s[0][2 * half], s[0][2 * half + 1]),
                              fmaxf(s[1][2 * half], s[1][2 * half + 1]));
        highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
        highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
        highest = fmaxf(highest * scale, w.highest[half]);
        const float base = highest == -INFINITY ? 0 : highest;
        factor[half] = exp2_fast(w.highest[half] - base);
        w.highest[half] = highest;
        w.sum[half] *= factor[half];
#pragma unroll
        for (int n = 0; n < 2; ++n)
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                float& v = s[n][2 * half + i];
                v = exp2_fast(fmaf(v, scale, -base));
                w.sum[half] += v;
            }
    }
    if (__any_sync(0xffffffffu, factor[0] != 1 || factor[1] != 1)) {
#pragma unroll
        for (int i = 0; i < 16; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) w.o[i][j] *= factor[j / 2];
    }
}

// One stage: `keys` of its 64 count, the last token sees all of them.
__device__ __forceinline__ void take_stage(State& w, const Problem& p, std::uint32_t stage,
                                           int keys) {
    const int lane = int(threadIdx.x) % 32, first = int(threadIdx.x) / 32 * 16;
    float s[2][4] = {};
#pragma unroll
    for (int k = 0; k < 8; ++k) {
        std::uint32_t b[4];
        load_matrices(b, chunk_at(stage, first + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2));
        mma(s[0], w.q[k], b[0], b[1]);
        mma(s[1], w.q[k], b[2], b[3]);
    }
    const int column = first + lane % 4 * 2;
    if (keys - p.tokens + 1 < kTileKeys) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int seen = keys - max(p.tokens - 1 - (lane / 4 + 8 * half) / p.group, 0);
#pragma unroll
            for (int n = 0; n < 2; ++n)
#pragma unroll
                for (int i = 0; i < 2; ++i)
                    if (column + 8 * n + i >= seen) s[n][2 * half + i] = -INFINITY;
        }
    }
    exponentials(w, s, p.scale);
    const std::uint32_t a[4] = {pack(s[0][0], s[0][1]), pack(s[0][2], s[0][3]),
                                pack(s[1][0], s[1][1]), pack(s[1][2], s[1][3])};
    // Values past the end hold anything, and 0 x NaN is NaN.
    const auto kept = [&](int key) {
        return (key < keys ? 0x0000ffffu : 0u) | (key + 1 < keys ? 0xffff0000u : 0u);
    };
    const bool all = keys >= kTileKeys;
    const std::uint32_t low = kept(column), high = kept(column + 8);
#pragma unroll
    for (int n = 0; n < 8; ++n) {
        std::uint32_t b[4];
        load_transposed(b, chunk_at(stage + 2 * kPieceBytes, first + lane % 16, 2 * n + lane / 16));
        if (!all) {
            b[0] &= low;
            b[1] &= high;
            b[2] &= low;
            b[3] &= high;
        }
        mma(w.o[2 * n], a, b[0], b[1]);
        mma(w.o[2 * n + 1], a, b[2], b[3]);
    }
}

// The warps' results of a piece, added up and stored: 32 columns at a time through shared memory.
__device__ __forceinline__ void finish(State& w, const Problem& p, Shared& s, const Piece& piece,
                                       int share) {
    const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        float& sum = w.sum[half];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (lane % 4 == 0) {
            s.highest[warp][lane / 4 + 8 * half] = w.highest[half];
            s.sum[warp][lane / 4 + 8 * half] = sum;
        }
    }
    consumers_sync();
    const auto merged = [&](int row, float& highest, float& sum) {
        highest = -INFINITY;
        sum = 0;
        for (int i = 0; i < kWarps; ++i) highest = fmaxf(highest, s.highest[i][row]);
        const float base = highest == -INFINITY ? 0 : highest;
        for (int i = 0; i < kWarps; ++i) sum += s.sum[i][row] * exp2_fast(s.highest[i][row] - base);
    };
    float factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        float highest, sum;
        merged(lane / 4 + 8 * half, highest, sum);
        factor[half] = sum > 0 ? exp2_fast(w.highest[half] - highest) / sum : 0;
    }
    const int row = int(threadIdx.x) / 8, column = int(threadIdx.x) % 8 * 4;
    const int rows = p.tokens * p.group;
    const std::int64_t slot_row = std::int64_t(piece.slot(share)) * rows + row,
                       out_row = row_in_output(p, piece, row);
    if (row < rows && column == 0) {
        float highest, sum;
        merged(row, highest, sum);
        const float l = highest + log2f(sum);
        if (!piece.whole())
            p.parts.l[slot_row] = l;
        else if (p.log_sum_exp)
            p.log_sum_exp[out_row] = l * 0.69314718f;
    }
#pragma unroll
    for (int slice = 0; slice < kDim / kSliceColumns; ++slice) {
#pragma unroll
        for (int n = 0; n < 4; ++n)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const float* o = w.o[slice * 4 + n];
                float* to = &s.slices[warp][lane / 4 + 8 * half][8 * n + lane % 4 * 2];
                to[0] = o[2 * half] * factor[half];
                to[1] = o[2 * half + 1] * factor[half];
            }
        consumers_sync();
        float4 v = make_float4(0, 0, 0, 0);
#pragma unroll
        for (int i = 0; i < kWarps; ++i) {
            const float4 a = *reinterpret_cast<const float4*>(&s.slices[i][row][column]);
            v.x += a.x;
            v.y += a.y;
            v.z += a.z;
            v.w += a.w;
        }
        const int at = slice * kSliceColumns + column;
        if (row < rows && piece.whole())
            *reinterpret_cast<uint2*>(p.out + out_row * kDim + at) =
                make_uint2(pack(v.x, v.y), pack(v.z, v.w));
        else if (row < rows)
            *reinterpret_cast<float4*>(p.parts.o + slot_row * kDim + at) = v;
        consumers_sync();
    }
}

__device__ __forceinline__ void consume(const Problem& p, Shared& s, int share) {
    Pieces pieces(p.shares, s.span);
    Piece piece;
    Turn turn;
    State w;
    while (pieces.next(piece)) {
        start(w, p, piece);
        for (int tile = piece.begin; tile < piece.end; ++tile, turn.advance()) {
            barrier_wait(shared_address(&s.full[turn.stage]), turn.phase);
            take_stage(w, p, shared_address(s.stages[turn.stage]), piece.length - tile * kTileKeys);
            __syncwarp();
            if (threadIdx.x % 32 == 0) barrier_arrive(shared_address(&s.empty[turn.stage]));
        }
        finish(w, p, s, piece, share);
    }
}

__global__ __launch_bounds__(kThreads,
                             2) void gqa_kernel(const __grid_constant__ CUtensorMap key_map,
                                                const __grid_constant__ CUtensorMap value_map,
                                                const __grid_constant__ Problem p) {
    extern __shared__ __align__(1024) char raw[];
    Shared& s = *reinterpret_cast<Shared*>(raw);
    if (threadIdx.x == 0) {
        prefetch_map(&key_map);
        prefetch_map(&value_map);
        for (int i = 0; i < kStages; ++i) {
            barrier_init(shared_address(&s.full[i]), 1);
            barrier_init(shared_address(&s.empty[i]), kWarps);
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    const int share = int(blockIdx.x);
    find_span<kThreads>(p.shares, share, s.scratch, &s.span);
    if (threadIdx.x < 32 * kWarps) {
        if (threadIdx.x == 0) p.parts.cuts[share] = cut_of(p.shares, s.span);
        consume(p, s, share);
    } else {
        produce(&key_map, &value_map, p, s);
    }
}

int shares_of(const DecodeShape& s) { return 2 * (s.sms > 0 ? s.sms : device_sm_count()); }

}  // namespace

std::size_t gqa_decode_workspace(const DecodeShape& s) {
    return parts_bytes(shares_of(s), kRows, kDim);
}

cudaError_t gqa_decode(const Bf16* q, const Bf16* key_cache, const Bf16* value_cache,
                       const PagedKeys& keys, Bf16* out, float* log_sum_exp, void* workspace,
                       const DecodeShape& shape, cudaStream_t stream) {
    if (shape.key_heads < 1 || shape.query_heads < 1 || shape.query_heads % shape.key_heads ||
        shape.query_tokens < 1 || shape.cache_blocks < 1)
        return cudaErrorInvalidValue;
    const int group = shape.query_heads / shape.key_heads, rows = group * shape.query_tokens;
    if (rows > kRows) return cudaErrorInvalidValue;
    if (shape.requests < 1) return cudaSuccess;
    const std::int64_t key_rows = shape.cache_blocks * shape.key_heads * kTileKeys;
    CUtensorMap key_map, value_map;
    if (const auto e = make_bf16_map(key_map, key_cache, key_rows, kDim, kTileKeys)) return e;
    if (const auto e = make_bf16_map(value_map, value_cache, key_rows, kDim, kTileKeys)) return e;
    if (const auto e = cudaFuncSetAttribute(gqa_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                            int(sizeof(Shared))))
        return e;
    static_assert(sizeof(Shared) <= 115712);  // two CTAs an SM
    const int count = shares_of(shape);
    const Parts parts = parts_in(workspace, count, rows, kDim);
    const Problem p{{keys.lengths, shape.requests, shape.key_heads, count},
                    keys.blocks,
                    shape.table_stride,
                    shape.query_tokens,
                    group,
                    q,
                    shape.scale * 1.44269504f,
                    out,
                    log_sum_exp,
                    parts};
    gqa_kernel<<<unsigned(count), kThreads, sizeof(Shared), stream>>>(key_map, value_map, p);
    if (const auto e = cudaGetLastError()) return e;
    return combine_decode(parts, count, rows, kDim, shape.key_heads, group, out, log_sum_exp,
                          stream);
}

}  // namespace orrery::kernels
