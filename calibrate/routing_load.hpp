#pragma once
// Which experts tokens go to when the all-to-all is measured.
//
//   balanced  each token draws 8 distinct experts, all equally likely
//   skewed    half of the tokens draw theirs among the first half of the ranks only (at two
//             ranks: those tokens stay on, or go to, rank 0)

#include <cstdint>
#include <string>
#include <vector>

namespace orrery::calibrate {

enum class Routing { balanced, skewed };
std::string to_string(Routing routing);

constexpr int kRoutedExperts = 256, kExpertsChosen = 8;

// [tokens, 8] for the tokens of one rank; the same (seed, rank) gives the same experts. `ranks`
// divides 256; experts 0 .. 256 / ranks - 1 lie on rank 0, and so on.
std::vector<std::int32_t> draw_experts(Routing routing, std::int64_t tokens, int rank, int ranks,
                                       std::uint64_t seed);

// Rows that a rank with these experts sends to each rank: a token goes once to every rank that
// holds one of its experts.
std::vector<std::int64_t> rows_by_destination(const std::vector<std::int32_t>& experts, int ranks);

// Of a whole group, from every rank's rows_by_destination.
struct RowCounts {
    double received = 0;       // mean over ranks, the own included
    double received_most = 0;  // of one rank
    double from_others = 0;    // mean over ranks: what crosses NVLink
    double from_others_most = 0;
};
RowCounts count_rows(const std::vector<std::vector<std::int64_t>>& sent);

}  // namespace orrery::calibrate
