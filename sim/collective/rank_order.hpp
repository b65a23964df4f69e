#pragma once
// Who is next to whom in rings and trees.

#include <bit>
#include <cstdint>
#include <optional>

namespace orrery {

// Rank at a place of ring `ring`, `local` ranks a node and as many rings. Ring c goes through even
// nodes upwards from GPU c and through odd ones downwards from c - 1, so that neighbouring nodes
// are joined by NICs of equal index.
constexpr std::uint32_t ring_rank(std::uint32_t ring, std::uint32_t place, std::uint32_t local) {
    const std::uint32_t node = place / local, i = place % local;
    const std::uint32_t gpu = node % 2 == 0 ? ring + i : ring + local - 1 - i;
    return node * local + gpu % local;
}

// Parent in a binary tree of 0 ... n-1 whose nodes with k zeros at the end stand k levels above the
// leaves: odd numbers are leaves, 0 is the root.
constexpr std::optional<std::uint32_t> tree_parent(std::uint32_t i, std::uint32_t n) {
    if (i == 0) return std::nullopt;
    const std::uint32_t bit = 1u << std::countr_zero(i);
    const std::uint32_t up = (i ^ bit) | (bit << 1);
    return up < n ? up : i ^ bit;
}

// The second of a double binary tree: leaves of one are inner nodes of the other, by reflection of
// an even number of nodes and by a shift of an odd one.
constexpr std::optional<std::uint32_t> second_tree_parent(std::uint32_t i, std::uint32_t n) {
    const auto there = [n](std::uint32_t x) { return n % 2 == 0 ? n - 1 - x : (x + n - 1) % n; };
    const auto back = [n](std::uint32_t x) { return n % 2 == 0 ? n - 1 - x : (x + 1) % n; };
    const auto parent = tree_parent(there(i), n);
    if (!parent) return std::nullopt;
    return back(*parent);
}

}  // namespace orrery
