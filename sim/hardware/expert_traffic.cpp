#include "hardware/expert_traffic.hpp"

#include <algorithm>
#include <numeric>

namespace orrery {

namespace {

std::vector<std::int64_t> column_sums(const std::vector<std::int32_t>& matrix,
                                      std::size_t columns) {
    std::vector<std::int64_t> sums(columns, 0);
    for (std::size_t i = 0; i < matrix.size(); ++i) sums[i % columns] += matrix[i];
    return sums;
}

double total(const std::vector<std::int32_t>& matrix) {
    return static_cast<double>(std::accumulate(matrix.begin(), matrix.end(), std::int64_t{0}));
}

}  // namespace

std::vector<std::int64_t> ExpertTraffic::rows() const {
    return column_sums(selections, static_cast<std::size_t>(ranks));
}

std::vector<std::int64_t> ExpertTraffic::received() const {
    return column_sums(rank_pairs, static_cast<std::size_t>(ranks));
}

double ExpertTraffic::imbalance() const {
    const auto all = rows();
    return largest_over_mean({all.begin(), all.end()});
}

double ExpertTraffic::mean_nodes() const {
    return total(node_pairs) / static_cast<double>(tokens * ranks);
}

double ExpertTraffic::mean_ranks() const {
    return total(rank_pairs) / static_cast<double>(tokens * ranks);
}

double largest_over_mean(const std::vector<double>& loads) {
    const double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
    if (!(sum > 0)) return 1;
    return *std::max_element(loads.begin(), loads.end()) * static_cast<double>(loads.size()) / sum;
}

}  // namespace orrery
