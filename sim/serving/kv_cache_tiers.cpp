// What leaves HBM, and the links of the tiers below.
#include <algorithm>

#include "serving/kv_cache.hpp"

namespace orrery {

std::int64_t KvCache::room(Tier tier) const {
    if (block_pages_ == 0) return 0;
    return tier == kHost ? (host_pages_ - swapped_) / block_pages_
                         : spec_.ssd.tokens / spec_.block_tokens;
}

void KvCache::enter(Tier tier, std::uint32_t number) {
    entries_[number].tiers |= static_cast<std::uint8_t>(1U << tier);
    append(tier, number);
}

void KvCache::leave(Tier tier, std::uint32_t number) {
    unlink(tier, number);
    entries_[number].tiers &= static_cast<std::uint8_t>(~(1U << tier));
}

SimTime KvCache::transfer(Tier tier, SimTime from, std::int64_t tokens, SimDuration per_token) {
    link_free_[tier] = SimTime{std::max(link_free_[tier].ps, from.ps) + tokens * per_token.ps};
    return link_free_[tier];
}

void KvCache::leave_hbm(std::uint32_t number, SimTime now) {
    Entry& entry = entries_[number];
    entry.tiers &= static_cast<std::uint8_t>(~kInHbm);
    if (entry.tiers == 0 && !write_down(number, kHost, now)) return forget(number);
    clean_ = std::max(clean_, entry.written);
}

// Into the first tier from `tier` on that has room for a block, others there making way.
bool KvCache::write_down(std::uint32_t number, Tier tier, SimTime now) {
    if (tier == kHost && room(kHost) < 1) tier = kSsd;
    if (tier == kSsd && room(kSsd) < 1) return false;
    SimTime from = now;
    while (orders_[tier].size >= room(tier)) from = std::max(from, push_out(tier, now));
    const SimDuration per_token =
        tier == kHost ? spec_.host.write_per_token : spec_.ssd.write_per_token;
    enter(tier, number);
    entries_[number].written = transfer(tier, from, spec_.block_tokens, per_token);
    if (moves_ != nullptr) moves_->written += spec_.block_tokens;
    return true;
}

// The block least recently used leaves a lower tier: to the next one, unless HBM has it, too. When
// its place can be written.
SimTime KvCache::push_out(Tier tier, SimTime now) {
    const std::uint32_t number = orders_[tier].first;
    leave(tier, number);
    if (entries_[number].tiers != 0) return now;
    const SimTime from = std::max(now, entries_[number].written);
    if (tier == kHost && write_down(number, kSsd, from)) return entries_[number].written;
    forget(number);
    return now;
}

std::optional<SimTime> KvCache::swap_out(std::int64_t tokens, SimTime now) {
    const std::int64_t pages = pages_for(tokens);
    if (swapped_ + pages > host_pages_) return std::nullopt;
    swapped_ += pages;
    SimTime from = now;
    while (orders_[kHost].size > room(kHost)) from = std::max(from, push_out(kHost, now));
    if (moves_ != nullptr) moves_->swapped += tokens;
    return transfer(kHost, from, tokens, spec_.host.write_per_token);
}

SimTime KvCache::swap_in(std::int64_t tokens, SimTime now) {
    if (moves_ != nullptr) moves_->swapped += tokens;
    return transfer(kHost, std::max(now, clean_), tokens, spec_.host.load_per_token);
}

}  // namespace orrery
