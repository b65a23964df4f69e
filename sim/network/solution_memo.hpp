#pragma once
// Remembers the solutions of contention patterns that come back: the phases of a collective, the
// rounds of an all-to-all. The key is an order-free 128-bit sum of hashes over the pattern's
// variables (route, cap, weight) and links (what is left of their capacity); the value, the level
// of each link. A pattern is stored when it is met the second time, so that a flood of patterns
// that never return costs a hash each and no memory; when none has come back for long, it is asked
// less.

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orrery {

struct MemoKey {
    std::uint64_t low = 0, high = 0;
    bool operator==(const MemoKey&) const = default;
    void add(std::uint64_t a, std::uint64_t b);
};

class SolutionMemo {
  public:
    using Levels = std::vector<std::pair<std::uint32_t, std::int64_t>>;  // link, level

    // Whether a pattern of so many variables is worth a key now.
    bool is_worth_asking(std::size_t variables);
    // nullptr: not known.
    const Levels* find(const MemoKey& key);
    // True where the pattern was met before and its solution should be stored.
    bool was_met(const MemoKey& key);
    void store(const MemoKey& key, Levels levels);

  private:
    struct Hash {
        std::size_t operator()(const MemoKey& key) const { return key.low; }
    };
    std::unordered_map<MemoKey, Levels, Hash> known_;
    std::vector<std::uint64_t> met_;  // high words, by low word's last bits
    std::size_t stored_ = 0;          // link levels held
    std::uint32_t misses_ = 0;        // since the last hit
    std::uint32_t skipped_ = 0;
};

}  // namespace orrery
