#pragma once
// Time of a GEMM from its tiles, before measurements correct it.
//
//   t = launch + (w^4 + h^4)^(1/4)
//   w = min over tiles a x b and splits s of  ceil(groups ceil(m/a) ceil(n/b) s / sms) u
//         + [s > 1] (launch + 8 s m n groups / f bw)
//   u = 2 (k/s) (a b + e (a + b)) / r + wave          time of one tile on one SM
//   h = bytes / (f bw)                                operands and results over device memory
//
//   r     arithmetic rate of one SM              e   cost of a tile's edge, in elements
//   wave  prologue and epilogue of a tile        f   share of the copy bandwidth a GEMM reaches
//
// The five constants of a precision are fitted to its measured GEMM table and stand in the profile
// as a table of origin derived. Left out: clusters, L2 reuse, power; the table's residual has them.

#include <cstdint>

#include "core/quantity.hpp"
#include "hardware/operator.hpp"

namespace orrery {

struct TileConstants {
    double flops_per_second = 0;    // r x all SMs of the device
    double edge = 0;                // e, elements
    double launch = 0;              // s
    double wave = 0;                // s
    double bandwidth_fraction = 1;  // f
};

// What the device sees: `groups` equal problems of m x n x k.
struct TileProblem {
    double groups = 1;
    double m = 0, n = 0, k = 0;
    double bytes = 0;  // operands and results, all groups
    Precision precision = Precision::bf16;
};

struct TileDevice {
    double sms = 0;             // that the kernel may use
    double all_sms = 0;         // of the device
    double copy_bandwidth = 0;  // B/s
};

double tile_time(const TileProblem& problem, const TileDevice& device,
                 const TileConstants& constants);  // s

TileProblem tile_problem(const Gemm& gemm);
TileProblem tile_problem(const GroupedGemm& gemm);

}  // namespace orrery
