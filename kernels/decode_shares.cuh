#pragma once
// How decode attention cuts its work. An item is one request and key head: kItemCost + tiles(r)
// units of work, tiles(r) = ceil(length / 64); all items in a row make a line of C units. Share p
// of P is [p C / P, (p + 1) C / P), rounded down; P is what is there, or fewer, so that a share has
// kItemCost + kLeastTiles. The first kItemCost units of an item count as its tile 0. So a share
// holds whole items, and at most one cut at its front and one at its back. Cut pieces leave FP32
// results in the workspace: slot 2 p what belongs to an item begun in an earlier share, slot 2 p +
// 1 what a later share goes on with. The share that ends an item writes down where it began, and
// the second kernel adds the slots up.

#include <cstdint>

#include <cuda_runtime.h>

#include "kernels/attention_decode.hpp"
#include "kernels/common.cuh"

namespace orrery::kernels {

constexpr int kTileKeys = 64;
constexpr int kItemCost = 3;    // of starting and ending an item, in tiles
constexpr int kLeastTiles = 1;  // of a share

struct Shares {
    const std::int32_t* lengths;
    int requests, heads, count;  // heads: items a request; count: P
};
// An item that was cut: shares first .. last hold it. item < 0: none reaches into this share.
struct Cut {
    int item, first, last;
};

// A place on the line: tile of item (request, head).
struct Place {
    int request, head, tile;
};
struct Span {
    Place begin, end;
    int before;         // cost before begin.request
    int total, shares;  // C, P
};

__device__ __forceinline__ int tiles_of(int length) { return (length + kTileKeys - 1) / kTileKeys; }

// Finds share `index`; every thread of the block calls it, with 34 ints and a Span in shared
// memory. Costs must stay below 2^31.
template <int kThreads>
__device__ __forceinline__ void find_span(const Shares& s, int index, int* scratch, Span* span) {
    const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
    constexpr int kWarps = kThreads / 32;
    const auto cost = [&](int r) {
        return r < s.requests ? s.heads * (tiles_of(s.lengths[r]) + kItemCost) : 0;
    };
    int sum = 0;
    for (int r = int(threadIdx.x); r < s.requests; r += kThreads) sum += cost(r);
    sum = __reduce_add_sync(0xffffffffu, sum);
    if (lane == 0) scratch[warp] = sum;
    if (threadIdx.x == 0) span->begin = span->end = {s.requests, 0, 0};
    __syncthreads();
    int total = 0;
    for (int w = 0; w < kWarps; ++w) total += scratch[w];
    const int shares = min(s.count, max(1, total / (kItemCost + kLeastTiles)));
    const auto start = [&](int share) {
        return share < shares ? int(std::int64_t(share) * total / shares) : total;
    };
    const int from = start(index), to = start(index + 1);
    if (threadIdx.x == 0) {
        span->total = total;
        span->shares = shares;
    }
    int carry = 0;
    for (int first = 0; first < s.requests; first += kThreads) {
        const int r = first + int(threadIdx.x), mine = cost(r);
        int before = mine;
        for (int d = 1; d < 32; d *= 2) {
            const int other = __shfl_up_sync(0xffffffffu, before, d);
            if (lane >= d) before += other;
        }
        __syncthreads();
        if (lane == 31) scratch[warp] = before;
        __syncthreads();
        before += carry - mine;
        for (int w = 0; w < kWarps; ++w) {
            if (w < warp) before += scratch[w];
            carry += scratch[w];
        }
        const auto place = [&](int at) {
            const int item = mine / s.heads, inside = at - before;
            return Place{r, inside / item, max(0, inside % item - kItemCost)};
        };
        if (mine > 0 && before <= from && from < before + mine) {
            span->begin = place(from);
            span->before = before;
        }
        if (mine > 0 && before <= to && to < before + mine) span->end = place(to);
    }
    __syncthreads();
}

// Part of an item: tiles begin .. end - 1 of `tiles`.
struct Piece {
    int request, head, length, begin, end, tiles;
    __device__ bool whole() const { return begin == 0 && end == tiles; }
    __device__ int slot(int share) const { return 2 * share + (begin > 0 ? 0 : 1); }
};

// The pieces of a share, one after another.
class Pieces {
  public:
    __device__ Pieces(const Shares& s, const Span& span)
        : s_(s),
          at_(span.begin),
          end_(span.end),
          length_(length(at_.request)),
          next_(length(at_.request + 1)) {}
    __device__ bool next(Piece& p) {
        const bool last = at_.request == end_.request && at_.head == end_.head;
        if (at_.request >= s_.requests || (last && end_.tile <= at_.tile)) return false;
        const int tiles = tiles_of(length_);
        p = {at_.request, at_.head, length_, at_.tile, last ? end_.tile : tiles, tiles};
        if (last) {
            at_ = {s_.requests, 0, 0};
            return true;
        }
        at_.tile = 0;
        if (++at_.head == s_.heads) {
            at_.head = 0;
            ++at_.request;
            length_ = next_;
            next_ = length(at_.request + 1);
        }
        return true;
    }

  private:
    __device__ int length(int request) const {
        return request < s_.requests ? s_.lengths[request] : 0;
    }
    const Shares& s_;
    Place at_;
    const Place end_;
    int length_, next_;
};

// The item that an earlier share began and this one goes on with.
__device__ __forceinline__ Cut cut_of(const Shares& s, const Span& span) {
    const Place& b = span.begin;
    if (b.request >= s.requests || b.tile == 0) return {-1, 0, 0};
    const int tiles = tiles_of(s.lengths[b.request]);
    const int begin = span.before + b.head * (tiles + kItemCost);
    const auto share_at = [&](int unit) {
        return int((std::int64_t(unit + 1) * span.shares - 1) / span.total);
    };
    return {b.request * s.heads + b.head, share_at(begin + kItemCost),  // tile 0's last unit
            share_at(begin + kItemCost + tiles - 1)};
}

// Blocks of a request's tiles, 32 at a time by the lanes of a warp, the next 32 in advance.
class TileBlocks {
  public:
    __device__ TileBlocks(const std::int32_t* table, int begin, int end)
        : table_(table), at_(begin), end_(end), now_(load(begin)), ahead_(load(begin + 32)) {}
    // Block of tile `tile`; called with begin, begin + 1, ... by the whole warp.
    __device__ int operator()(int tile) {
        if (tile - at_ == 32) {
            at_ = tile;
            now_ = ahead_;
            ahead_ = load(tile + 32);
        }
        return __shfl_sync(0xffffffffu, now_, tile - at_);
    }

  private:
    __device__ int load(int first) const {
        const int tile = first + int(threadIdx.x) % 32;
        return tile < end_ ? table_[tile] : 0;
    }
    const std::int32_t* table_;
    int at_, end_, now_, ahead_;
};

__device__ __forceinline__ float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Results of cut pieces: o [slots, rows, dim] normalised, l [slots, rows] the base-2 logarithm of
// the sum of exponentials; cuts [count].
struct Parts {
    float *o, *l;
    Cut* cuts;
};
// Layout of the workspace: `rows` results of `dim` a slot, two slots a share.
inline std::size_t parts_bytes(int count, int rows, int dim) {
    return std::size_t(count) * (2 * std::size_t(rows) * std::size_t(dim + 1) * 4 + sizeof(Cut));
}
inline Parts parts_in(void* workspace, int count, int rows, int dim) {
    const std::size_t slots = 2 * std::size_t(count) * std::size_t(rows);
    float* o = static_cast<float*>(workspace);
    return {o, o + slots * std::size_t(dim),
            reinterpret_cast<Cut*>(o + slots * std::size_t(dim + 1))};
}

// Adds up the cut items. Row r of item (request, head) is row (request rows_a_request + r / group
// heads group + head group + r % group) of out and log_sum_exp; MLA: heads 1, group rows.
cudaError_t combine_decode(const Parts& parts, int count, int rows, int dim, int heads, int group,
                           __nv_bfloat16* out, float* log_sum_exp, cudaStream_t stream);

int device_sm_count();

}  // namespace orrery::kernels
