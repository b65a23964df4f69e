#include <algorithm>
#include <type_traits>

#include "kernels/common.cuh"
#include "kernels/grouped_gemm.hpp"
#include "kernels/hopper.cuh"
#include "kernels/tensor_map.cuh"

// A persistent kernel: one CTA an SM, of three warpgroups. A producer thread keeps a ring of stages
// filled through TMA; two consumer warpgroups multiply (wgmma, 64 x 128 x 128 a time, rows
// interleaved by 64), scale and add into FP32 registers, and store. Barrier full[s]: the stage's
// bytes have landed; empty[s]: every consumer warp that reads it, of both CTAs of a cluster, has.
// In a cluster of two, each CTA loads half of x's tile for both; their columns are neighbours.

namespace orrery::kernels {
namespace {

constexpr int kThreads = 384, kColumns = 128, kDepth = 128;
constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;
constexpr int kColumnTilesInBand = 16;  // tiles run down a band of this width: shared in L2

enum class Layout { contiguous, masked, k_grouped };

struct Problem {
    const float *a_scales, *b_scales;
    void* y;
    const std::int32_t* groups_at;  // offsets or counts
    std::int64_t a_rows, n;         // of the whole a (its scales' leading dimension); of one b
    int groups, m_or_capacity, k_blocks, n_tiles;
    bool accumulate;
};

struct Tile {
    int group, row, rows;  // first row within a, rows that count
    int n_tile, k_begin, k_blocks;
};

// Read anew where it is needed: cheaper than a register held throughout.
template <int kCluster>
__device__ __forceinline__ int rank_in() {
    return kCluster == 1 ? 0 : cluster_rank();
}

// This cluster's tiles, group after group.
template <Layout kLayout, int kRows, int kCluster>
class Tiles {
  public:
    __device__ explicit Tiles(const Problem& p)
        : p_(p), index_(int(blockIdx.x) / kCluster), step_(int(gridDim.x) / kCluster) {
        enter(0);
    }
    __device__ bool next(Tile& t) {
        const int columns = p_.n_tiles / kCluster;
        while (group_ < p_.groups && index_ >= before_ + m_tiles_ * columns) {
            before_ += m_tiles_ * columns;
            enter(group_ + 1);
        }
        if (group_ >= p_.groups) return false;
        constexpr int kBand = kColumnTilesInBand / kCluster;
        const int at = index_ - before_, band = at / (kBand * m_tiles_);
        const int width = min(kBand, columns - band * kBand),
                  in_band = at - band * kBand * m_tiles_;
        const int m_tile = in_band / width;
        t.group = group_;
        t.row = first_ + m_tile * kRows;
        t.rows = min(kRows, rows_ - m_tile * kRows);
        t.n_tile = (band * kBand + in_band % width) * kCluster + rank_in<kCluster>();
        t.k_begin = k_begin_;
        t.k_blocks = k_blocks_;
        index_ += step_;
        return true;
    }

  private:
    __device__ void enter(int group) {
        group_ = group;
        if (group >= p_.groups) return;
        k_begin_ = 0;
        k_blocks_ = p_.k_blocks;
        if constexpr (kLayout == Layout::contiguous) {
            first_ = p_.groups_at[group];
            rows_ = p_.groups_at[group + 1] - first_;
        } else if constexpr (kLayout == Layout::masked) {
            first_ = group * p_.m_or_capacity;
            rows_ = p_.groups_at[group];
        } else {
            first_ = 0;
            rows_ = p_.m_or_capacity;
            k_begin_ = p_.groups_at[group] / kDepth;
            k_blocks_ = p_.groups_at[group + 1] / kDepth - k_begin_;
        }
        m_tiles_ = (rows_ + kRows - 1) / kRows;
    }
    const Problem& p_;
    int index_, step_, group_ = 0, before_ = 0, m_tiles_ = 0;
    int first_ = 0, rows_ = 0, k_begin_ = 0, k_blocks_ = 0;
};

template <Layout kLayout, int kRows, int kCluster, int kStages>
struct Config {
    static constexpr int kABytes = kRows * kDepth, kBBytes = kColumns * kDepth;
    static constexpr int kScaleFloats = kRows + (kLayout == Layout::k_grouped ? kColumns : 0);
    static constexpr int kOperandBytes = kStages * (kABytes + kBBytes);
    static constexpr int kSharedBytes =
        1024 + kOperandBytes + kStages * (kScaleFloats * 4 + 2 * 8);  // 1024: alignment
};

// Where a stage's parts lie in shared memory.
template <class C, int kStages>
struct Ring {
    std::uint32_t base;  // aligned to 1,024 bytes
    int stage = 0;
    std::uint32_t phase = 0;
    __device__ std::uint32_t a() const { return base + stage * C::kABytes; }
    __device__ std::uint32_t b() const { return base + kStages * C::kABytes + stage * C::kBBytes; }
    __device__ std::uint32_t scales() const {
        return base + C::kOperandBytes + stage * C::kScaleFloats * 4;
    }
    __device__ std::uint32_t full() const {
        return base + C::kOperandBytes + kStages * C::kScaleFloats * 4 + stage * 16;
    }
    __device__ std::uint32_t empty() const { return full() + 8; }
    __device__ void advance() {
        if (++stage == kStages) {
            stage = 0;
            phase ^= 1;
        }
    }
};

template <Layout kLayout, int kRows, int kCluster, int kStages>
__device__ __forceinline__ void produce(
    const CUtensorMap* a_map, const CUtensorMap* b_map, const Problem& p,
    Ring<Config<kLayout, kRows, kCluster, kStages>, kStages> ring) {
    using C = Config<kLayout, kRows, kCluster, kStages>;
    const int rank = rank_in<kCluster>();
    constexpr int kShare = kRows / kCluster;  // rows of a that this CTA loads
    Tiles<kLayout, kRows, kCluster> tiles(p);
    Tile t;
    while (tiles.next(t)) {
        const int scale_bytes = (t.rows + 3) / 4 * 16;
        const int b_row =
            (kLayout == Layout::k_grouped ? 0 : t.group * int(p.n)) + t.n_tile * kColumns;
        for (int kb = t.k_begin; kb < t.k_begin + t.k_blocks; ++kb, ring.advance()) {
            barrier_wait(ring.empty(), ring.phase ^ 1);
            barrier_expect(ring.full(), C::kABytes + C::kBBytes + scale_bytes +
                                            (kLayout == Layout::k_grouped ? kColumns * 4 : 0));
            const std::uint32_t a = ring.a() + rank * kShare * kDepth;
            if constexpr (kCluster == 1)
                copy_box(a, a_map, kb * kDepth, t.row, ring.full());
            else
                copy_box_to(3, a, a_map, kb * kDepth, t.row + rank * kShare, ring.full());
            copy_box(ring.b(), b_map, kb * kDepth, b_row, ring.full());
            const std::uint32_t scales = ring.scales();
            copy_bulk(scales, p.a_scales + kb * p.a_rows + t.row, scale_bytes, ring.full());
            if constexpr (kLayout == Layout::k_grouped)
                copy_bulk(scales + kRows * 4, p.b_scales + kb * p.n + t.n_tile * kColumns,
                          kColumns * 4, ring.full());
        }
    }
}

// 64 x 128 results of a warpgroup as BF16: lanes of a quad exchange words so that each stores 16
// bytes, a quad 64 bytes of a row. `rows`: how many of the 64 count.
__device__ __forceinline__ void store_bf16(const float (&d)[64], Bf16* y, std::int64_t n,
                                           int rows) {
    const int lane = int(threadIdx.x) % 32, q = lane % 4;
    const int row = int(threadIdx.x) / 32 % 4 * 16 + lane / 4;
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int four = 0; four < 4; ++four) {
            std::uint32_t w[4];
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const int i = (four * 4 + j) * 4 + half * 2;
                const __nv_bfloat162 pair = __floats2bfloat162_rn(d[i], d[i + 1]);
                w[j] = *reinterpret_cast<const std::uint32_t*>(&pair);
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
                *reinterpret_cast<uint4*>(y + (row + half * 8) * n + four * 32 + q * 8) =
                    make_uint4(w[0], w[1], w[2], w[3]);
        }
}
__device__ __forceinline__ void store_fp32(const float (&d)[64], float* y, std::int64_t n, int rows,
                                           bool accumulate) {
    const int lane = int(threadIdx.x) % 32;
    const int row = int(threadIdx.x) / 32 % 4 * 16 + lane / 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const bool inside = row + half * 8 < rows;
        float* at = y + (row + half * 8) * n + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < 16; ++j) {
            const float2 v = make_float2(d[4 * j + half * 2], d[4 * j + half * 2 + 1]);
            if (inside && accumulate)
                add_pair(at + 8 * j, v);
            else if (inside)
                *reinterpret_cast<float2*>(at + 8 * j) = v;
        }
    }
}

// Rows first .. first + 63 of a tile.
template <Layout kLayout>
__device__ __forceinline__ void store(const float (&d)[64], const Problem& p, const Tile& t,
                                      int first) {
    const std::int64_t row = std::int64_t(t.row) + first;
    const int column = t.n_tile * kColumns, rows = t.rows - first;
    if constexpr (kLayout == Layout::k_grouped)
        store_fp32(d,
                   static_cast<float*>(p.y) +
                       (std::int64_t(t.group) * p.m_or_capacity + row) * p.n + column,
                   p.n, rows, p.accumulate);
    else
        store_bf16(d, static_cast<Bf16*>(p.y) + row * p.n + column, p.n, rows);
}

__device__ __forceinline__ void pin(float (&part)[64]) {
#pragma unroll
    for (int i = 0; i < 64; ++i) asm volatile("" : "+f"(part[i])::"memory");
}

// sum += scales of the rows * scales of the columns * part.
template <bool kBothVectors>
__device__ __forceinline__ void promote(float (&sum)[64], const float (&part)[64], float upper,
                                        float lower, float b_scale, std::uint32_t columns) {
    if constexpr (kBothVectors) {
#pragma unroll
        for (int j = 0; j < 16; ++j) {
            const float2 c = load_shared_pair(columns + 32 * j);
            sum[4 * j] += upper * c.x * part[4 * j];
            sum[4 * j + 1] += upper * c.y * part[4 * j + 1];
            sum[4 * j + 2] += lower * c.x * part[4 * j + 2];
            sum[4 * j + 3] += lower * c.y * part[4 * j + 3];
        }
    } else {
        upper *= b_scale;
        lower *= b_scale;
#pragma unroll
        for (int i = 0; i < 64; ++i) sum[i] += (i & 2 ? lower : upper) * part[i];
    }
}

// One tile of 128 rows: while a product is in flight the one before is scaled and added.
template <Layout kLayout, int kCluster, class Ring>
__device__ __forceinline__ void multiply_one(const Tile& t, const float* b_scales, Ring& ring,
                                             int group, int lane, int row, float (&sum)[64]) {
    constexpr bool kBothVectors = kLayout == Layout::k_grouped;
    constexpr int kRows = 128;
    if (t.k_blocks == 0) return;
    auto done = ring;
    float part[2][64], b_scale[2] = {};
    const auto issue = [&](auto which, int kb) {
        constexpr int w = decltype(which)::value;
        if constexpr (!kBothVectors) b_scale[w] = b_scales[kb];
        barrier_wait(ring.full(), ring.phase);
        const std::uint32_t a = swizzled_operand(ring.a() + group * 64 * kDepth);
        const std::uint32_t b = swizzled_operand(ring.b());
        pin(part[w]);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < 4; ++k) wgmma_64x128x32(part[w], a + 2 * k, b + 2 * k, k > 0);
        wgmma_commit();
        pin(part[w]);
        ring.advance();
    };
    const auto finish = [&](auto which) {
        constexpr int w = decltype(which)::value;
        const std::uint32_t scales = done.scales() + row * 4;
        const float upper = load_shared(scales), lower = load_shared(scales + 32);
        if (!kBothVectors && lane < kCluster) barrier_arrive(done.empty(), lane);
        promote<kBothVectors>(sum, part[w], upper, lower, b_scale[w],
                              done.scales() + kRows * 4 + lane % 4 * 8);
        if constexpr (kBothVectors) {
            __syncwarp();
            if (lane < kCluster) barrier_arrive(done.empty(), lane);
        }
        done.advance();
    };
    const std::integral_constant<int, 0> even;
    const std::integral_constant<int, 1> odd;
    issue(even, 0);
    int kb = 1;
    for (; kb + 1 < t.k_blocks; kb += 2) {
        issue(odd, kb);
        wgmma_wait<1>();
        finish(even);
        issue(even, kb + 1);
        wgmma_wait<1>();
        finish(odd);
    }
    if (kb < t.k_blocks) {
        issue(odd, kb);
        wgmma_wait<1>();
        finish(even);
        wgmma_wait<0>();
        finish(odd);
    } else {
        wgmma_wait<0>();
        finish(even);
    }
}

// One tile of 256 rows: the two products of a stage one after the other; the other warpgroup's run
// meanwhile.
template <Layout kLayout, int kCluster, class Ring>
__device__ __forceinline__ void multiply_two(const Tile& t, const float* b_scales, Ring& ring,
                                             int group, int lane, int row, float (&sum)[2][64]) {
    constexpr bool kBothVectors = kLayout == Layout::k_grouped;
    constexpr int kRows = 256, kWaves = 2;
    float part[64];
    float next = 0;
    if constexpr (!kBothVectors) next = b_scales[0];
    for (int kb = 0; kb < t.k_blocks; ++kb) {
        const float b_scale = next;
        if constexpr (!kBothVectors) next = b_scales[min(kb + 1, t.k_blocks - 1)];
        barrier_wait(ring.full(), ring.phase);
        const std::uint32_t b = swizzled_operand(ring.b());
#pragma unroll
        for (int wave = 0; wave < kWaves; ++wave) {
            const bool some = wave * 128 + group * 64 < t.rows;
            const bool last = wave + 1 == kWaves;
            const std::uint32_t scales = ring.scales() + (wave * 128 + row) * 4;
            const float upper = load_shared(scales), lower = load_shared(scales + 32);
            const std::uint32_t a = swizzled_operand(ring.a() + (wave * 128 + group * 64) * kDepth);
            if (some) {
                pin(part);
                wgmma_fence();
#pragma unroll
                for (int k = 0; k < 4; ++k) wgmma_64x128x32(part, a + 2 * k, b + 2 * k, k > 0);
                wgmma_commit();
                pin(part);
                wgmma_wait<0>();
                if (last && !kBothVectors && lane < kCluster) barrier_arrive(ring.empty(), lane);
                promote<kBothVectors>(sum[wave], part, upper, lower, b_scale,
                                      ring.scales() + kRows * 4 + lane % 4 * 8);
                if (last && kBothVectors) {
                    __syncwarp();
                    if (lane < kCluster) barrier_arrive(ring.empty(), lane);
                }
            } else {
                if (last && lane < kCluster) barrier_arrive(ring.empty(), lane);
            }
        }
        ring.advance();
    }
}

template <Layout kLayout, int kRows, int kCluster, int kStages>
__device__ __forceinline__ void consume(
    const Problem& p, Ring<Config<kLayout, kRows, kCluster, kStages>, kStages> ring) {
    constexpr int kWaves = kRows / 128;
    const int group = __shfl_sync(0xffffffffu, int(threadIdx.x) / 128, 0);  // uniform
    const int lane = int(threadIdx.x) % 32;
    const int row = group * 64 + int(threadIdx.x) / 32 % 4 * 16 + lane / 4;
    const int scale_stride = (p.k_blocks + 3) / 4 * 4;
    Tiles<kLayout, kRows, kCluster> tiles(p);
    Tile t;
    while (tiles.next(t)) {
        float sum[kWaves][64];
#pragma unroll
        for (int i = 0; i < kWaves * 64; ++i) sum[i / 64][i % 64] = 0;
        const float* b_scales =
            p.b_scales + (std::int64_t(t.group) * p.n_tiles + t.n_tile) * scale_stride;
        if constexpr (kWaves == 1)
            multiply_one<kLayout, kCluster>(t, b_scales, ring, group, lane, row, sum[0]);
        else
            multiply_two<kLayout, kCluster>(t, b_scales, ring, group, lane, row, sum);
        store<kLayout>(sum[0], p, t, group * 64);
        if constexpr (kWaves == 2) store<kLayout>(sum[1], p, t, 128 + group * 64);
    }
}

template <Layout kLayout, int kRows, int kCluster, int kStages>
__global__ __launch_bounds__(kThreads,
                             1) void grouped_gemm(const __grid_constant__ CUtensorMap a_map,
                                                  const __grid_constant__ CUtensorMap b_map,
                                                  const __grid_constant__ Problem p) {
    using C = Config<kLayout, kRows, kCluster, kStages>;
    extern __shared__ char raw[];
    Ring<C, kStages> ring{(shared_address(raw) + 1023) / 1024 * 1024};
    if (threadIdx.x == 0) {
        prefetch_map(&a_map);
        prefetch_map(&b_map);
        for (int s = 0; s < kStages; ++s, ring.advance()) {
            barrier_init(ring.full(), 1);
            barrier_init(ring.empty(), kCluster * 8);  // consumer warps
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    ring.stage = 0;
    ring.phase = 0;
    if constexpr (kCluster > 1)
        cluster_sync();
    else
        __syncthreads();
    if (threadIdx.x >= 256) {
        give_registers<kProducerRegisters>();
        if (threadIdx.x == 256) produce<kLayout, kRows, kCluster, kStages>(&a_map, &b_map, p, ring);
    } else {
        take_registers<kConsumerRegisters>();
        consume<kLayout, kRows, kCluster, kStages>(p, ring);
    }
    if constexpr (kCluster > 1) {  // neither leaves while the other may still signal it
        __syncwarp();
        cluster_sync();
    }
}

struct Operands {
    const std::uint8_t *a, *b;
    std::int64_t b_rows, k;
};

template <Layout kLayout, int kRows, int kCluster, int kStages>
cudaError_t launch(const Operands& o, const Problem& p, int sms, cudaStream_t stream) {
    using C = Config<kLayout, kRows, kCluster, kStages>;
    static_assert(C::kSharedBytes <= 232448);
    CUtensorMap a_map, b_map;
    if (const auto e = make_byte_map(a_map, o.a, p.a_rows, o.k, kRows / kCluster)) return e;
    if (const auto e = make_byte_map(b_map, o.b, o.b_rows, o.k, kColumns)) return e;
    const auto kernel = grouped_gemm<kLayout, kRows, kCluster, kStages>;
    if (const auto e = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                            C::kSharedBytes))
        return e;
    cudaLaunchAttribute cluster{};
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim = {kCluster, 1, 1};
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(unsigned(std::max(sms / kCluster * kCluster, kCluster)));
    config.blockDim = dim3(kThreads);
    config.dynamicSmemBytes = C::kSharedBytes;
    config.stream = stream;
    config.attrs = &cluster;
    config.numAttrs = 1;
    return cudaLaunchKernelEx(&config, kernel, a_map, b_map, p);
}

int device_sms() {
    int device = 0, sms = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
    return sms;
}

template <Layout kLayout>
cudaError_t dispatch(const Operands& o, const Problem& p, std::int64_t rows_a_group,
                     GroupedTiling t, cudaStream_t stream) {
    if (p.n % kColumns || o.k % kDepth || p.a_rows % 4) return cudaErrorInvalidValue;
    if (p.groups < 1 || p.a_rows < 1 || p.n < 1) return cudaSuccess;
    if (t.sms == 0) t.sms = device_sms();
    if (t.tile_rows == 0) t.tile_rows = rows_a_group > 128 ? 256 : 128;
    if (t.cluster == 0) t.cluster = 2;
    if (p.n_tiles % 2) t.cluster = 1;
    if (t.tile_rows == 256)
        return t.cluster == 2 ? launch<kLayout, 256, 2, 4>(o, p, t.sms, stream)
                              : launch<kLayout, 256, 1, 4>(o, p, t.sms, stream);
    return t.cluster == 2 ? launch<kLayout, 128, 2, 6>(o, p, t.sms, stream)
                          : launch<kLayout, 128, 1, 6>(o, p, t.sms, stream);
}

}  // namespace

cudaError_t grouped_gemm_contiguous(const std::uint8_t* x, const float* x_scales,
                                    const std::uint8_t* w, const float* w_scales, Bf16* y,
                                    const std::int32_t* offsets, std::int64_t rows,
                                    const GroupedGemmShape& s, const GroupedTiling& tiling,
                                    cudaStream_t stream) {
    const Problem p{x_scales, w_scales, y, offsets,           rows,
                    s.n,      s.groups, 0, int(s.k / kDepth), int(s.n / kColumns),
                    false};
    return dispatch<Layout::contiguous>({x, w, s.groups * s.n, s.k}, p,
                                        rows / std::max(s.groups, 1), tiling, stream);
}

cudaError_t grouped_gemm_masked(const std::uint8_t* x, const float* x_scales, const std::uint8_t* w,
                                const float* w_scales, Bf16* y, const std::int32_t* counts,
                                std::int64_t capacity, const GroupedGemmShape& s,
                                const GroupedTiling& tiling, cudaStream_t stream) {
    if (capacity % 4) return cudaErrorInvalidValue;
    const Problem p{x_scales,
                    w_scales,
                    y,
                    counts,
                    s.groups * capacity,
                    s.n,
                    s.groups,
                    int(capacity),
                    int(s.k / kDepth),
                    int(s.n / kColumns),
                    false};
    return dispatch<Layout::masked>({x, w, s.groups * s.n, s.k}, p, capacity, tiling, stream);
}

cudaError_t grouped_gemm_k_grouped(const std::uint8_t* a, const float* a_scales,
                                   const std::uint8_t* b, const float* b_scales, float* y,
                                   const std::int32_t* offsets, std::int64_t m, bool accumulate,
                                   const GroupedGemmShape& s, const GroupedTiling& tiling,
                                   cudaStream_t stream) {
    if (m % 128) return cudaErrorInvalidValue;
    const Problem p{a_scales,  b_scales, y,      offsets,           m,
                    s.n,       s.groups, int(m), int(s.k / kDepth), int(s.n / kColumns),
                    accumulate};
    return dispatch<Layout::k_grouped>({a, b, s.n, s.k}, p, m, tiling, stream);
}

}  // namespace orrery::kernels
