#include "network/solution_memo.hpp"

#include "core/random.hpp"

namespace orrery {
namespace {

constexpr std::size_t kFewVariables = 8;      // are solved as fast as they are looked up
constexpr std::size_t kMostLevels = 1 << 20;  // 16 MiB; then the memory is cleared
constexpr std::size_t kMet = 1 << 12;
constexpr std::uint32_t kPatience = 512;  // misses in a row, then only one in kPause is asked
constexpr std::uint32_t kPause = 64;

}  // namespace

void MemoKey::add(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t one = mix64(mix64(a) ^ b);
    low += one;
    high += mix64(one);
}

bool SolutionMemo::is_worth_asking(std::size_t variables) {
    if (variables < kFewVariables) return false;
    return misses_ < kPatience || ++skipped_ % kPause == 0;
}

const SolutionMemo::Levels* SolutionMemo::find(const MemoKey& key) {
    const auto at = known_.find(key);
    misses_ = at == known_.end() ? misses_ + 1 : 0;
    return at == known_.end() ? nullptr : &at->second;
}

bool SolutionMemo::was_met(const MemoKey& key) {
    if (met_.empty()) met_.resize(kMet);
    std::uint64_t& place = met_[key.low % kMet];
    const bool known = place == key.high;
    place = key.high;
    return known;
}

void SolutionMemo::store(const MemoKey& key, Levels levels) {
    stored_ += levels.size();
    if (stored_ > kMostLevels) {
        known_.clear();
        stored_ = levels.size();
    }
    known_.emplace(key, std::move(levels));
}

}  // namespace orrery
