#pragma once
// Time of a GEMM from its tiles, before measurements correct it.
//
//   t = launch + g groups + min over tiles a x b and splits s of
//         [s > 1] split + sum over waves of (w^4 + h^4)^(1/4)
//   c = groups ceil(m/a) ceil(n/b) s tiles: full waves of one tile an SM, and the rest
//   w = 2 (k/s) (a b + e (a + b)) (1 + l x) y z / r + wave + fill x
//   h = bytes (tiles of the wave / c) / (f bw)        operands and results over device memory
//   x = tiles of the wave / SMs of the device
//
//   r     arithmetic rate of one SM              e      cost of a tile's edge, in elements
//   wave  prologue and epilogue of a tile        fill   the same, where all SMs do it together
//   f     share of the copy bandwidth            l      how much slower a busy device computes
//   split the kernel that adds the parts         g      walking over one group
//   y     tiles not paired in a cluster that shares an operand; pairs round ceil(m/a) or
//         ceil(n/b) up to an even number, whichever is faster
//   z     mean over the tiles of a column, a last one at most half full counting `half`
//
// The constants of a precision are fitted to its measured GEMM table and stand in the profile as a
// table of origin derived. Left out: clusters of more than two, L2 reuse, power, and that a library
// does not always choose its best kernel; the table's residual has them.

#include <cstdint>
#include <span>

#include "core/quantity.hpp"
#include "hardware/data_table.hpp"
#include "hardware/operator.hpp"

namespace orrery {

struct TileConstants {
    double flops_per_second = 0;    // r x all SMs of the device
    double edge = 0;                // e, elements
    double launch = 0;              // s
    double wave = 0;                // s
    double bandwidth_fraction = 1;  // f
    double fill = 0;                // s
    double load = 0;                // l
    double split = 0;               // s
    double single = 1;              // y
    double group = 0;               // g, s
    double half = 1;                // a tile at most half full over a full one
};

// Column of a profile's table that holds a constant; `unit`: its value in s, FLOP/s or 1.
struct TileColumn {
    const char* name;
    double TileConstants::*member;
    double unit;
    bool required;
};
std::span<const TileColumn> tile_columns();
// A row of table gemm_model or grouped_gemm_model; what has no column has no effect,
// but that a split costs a launch.
TileConstants read_tile_constants(const DataTable& table, std::size_t row);

// Which tiles a kernel may take. own_grouped: kernels/grouped_gemm.cu, 256 x 128, or 128 x 128
// where a group has at most 128 rows, never split.
enum class TileSet : std::uint8_t { dense, block_scaled, own_grouped };

// What the device sees: `groups` equal problems of m x n x k.
struct TileProblem {
    double groups = 1;
    double m = 0, n = 0, k = 0;
    double bytes = 0;  // operands and results, all groups
    TileSet tiles = TileSet::dense;
};

struct TileDevice {
    double sms = 0;             // that the kernel may use
    double all_sms = 0;         // of the device
    double copy_bandwidth = 0;  // B/s
};

double tile_time(const TileProblem& problem, const TileDevice& device,
                 const TileConstants& constants);  // s

// Of a library's dense kernels.
TileSet tile_set(Precision precision);
TileProblem tile_problem(const Gemm& gemm);
// With the tiles of a dense kernel of its precision.
TileProblem tile_problem(const GroupedGemm& gemm);

}  // namespace orrery
