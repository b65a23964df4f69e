#pragma once
// What an expert all-to-all moves, counted token by token: the outcome of routing and the input of
// the communication model. Rank r lies on node r / ranks_per_node, at index r mod ranks_per_node.

#include <cstdint>
#include <vector>

namespace orrery {

struct ExpertTraffic {
    std::int32_t ranks = 0, ranks_per_node = 0;
    std::int64_t tokens = 0;  // that each rank dispatches
    std::int32_t top_k = 0;
    // (token, expert) pairs [source x ranks + destination]: what the destination computes, and what
    // the low-latency mode sends.
    std::vector<std::int32_t> selections;
    // Distinct (token, destination rank) pairs, [source x ranks + destination].
    std::vector<std::int32_t> rank_pairs;
    // Distinct (token, destination node) pairs, own node included, [source x nodes + node].
    std::vector<std::int32_t> node_pairs;
    std::vector<std::int64_t> slot_rows;  // rows of each expert slot, rank by rank

    std::int32_t nodes() const { return ranks / ranks_per_node; }
    std::int32_t node_of(std::int32_t rank) const { return rank / ranks_per_node; }
    std::int32_t selected(std::int32_t source, std::int32_t destination) const {
        return selections[at(source, destination, ranks)];
    }
    std::int32_t to_rank(std::int32_t source, std::int32_t destination) const {
        return rank_pairs[at(source, destination, ranks)];
    }
    std::int32_t to_node(std::int32_t source, std::int32_t node) const {
        return node_pairs[at(source, node, nodes())];
    }
    // Rows of the grouped GEMM on each rank: (token, expert) pairs received.
    std::vector<std::int64_t> rows() const;
    // Tokens received on each rank, a token for several of its experts counted once.
    std::vector<std::int64_t> received() const;
    // Largest over mean of rows(); 1: balanced.
    double imbalance() const;
    // Means over tokens: distinct nodes and distinct ranks that a token reaches.
    double mean_nodes() const;
    double mean_ranks() const;

  private:
    static std::size_t at(std::int32_t row, std::int32_t column, std::int32_t columns) {
        return static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) +
               static_cast<std::size_t>(column);
    }
};

// Largest over mean; 1 for no load at all.
double largest_over_mean(const std::vector<double>& loads);

}  // namespace orrery
