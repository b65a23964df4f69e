#include "serving/kv_cache.hpp"

#include <stdexcept>

namespace orrery {

KvCache::KvCache(const KvSpec& spec) : spec_(spec), free_(spec.pages) {
    if (spec.block_tokens <= 0) return;
    block_pages_ = spec.block_tokens / spec.page_tokens;
    if (block_pages_ * spec.page_tokens != spec.block_tokens) {
        throw std::logic_error("pages do not divide the blocks that requests share");
    }
    tier_blocks_[kHost] = spec.host.tokens / spec.block_tokens;
    tier_blocks_[kSsd] = spec.ssd.tokens / spec.block_tokens;
}

KvCache::Hit KvCache::find(Blocks blocks) const {
    Hit hit;
    if (block_pages_ == 0) return hit;
    for (const std::uint64_t name : blocks) {
        const auto found = index_.find(name);
        if (found == index_.end()) break;
        const Entry& entry = entries_[found->second];
        ++hit.blocks;
        hit.idle += entry.tier == kHbm && entry.holders == 0 ? 1 : 0;
        hit.host += entry.tier == kHost ? 1 : 0;
        hit.ssd += entry.tier == kSsd ? 1 : 0;
    }
    return hit;
}

bool KvCache::take(std::int64_t pages) {
    if (pages > available()) return false;
    forget_idle(pages);
    free_ -= pages;
    private_ += pages;
    return true;
}

void KvCache::give(std::int64_t pages) {
    private_ -= pages;
    free_ += pages;
}

void KvCache::hold(Blocks blocks) {
    std::int64_t lower = 0;
    for (const std::uint64_t name : blocks) {
        const std::uint32_t number = index_.at(name);
        Entry& entry = entries_[number];
        if (entry.holders++ > 0) continue;
        unlink(orders_[entry.tier], number);
        ++held_;
        if (entry.tier == kHbm) {
            --idle_;
        } else {
            entry.tier = kHbm;
            ++lower;
        }
    }
    // All of them are out of the orders of use: none is pushed out by another one's pages.
    forget_idle(lower * block_pages_);
    free_ -= lower * block_pages_;
    if (free_ < 0) throw std::logic_error("KV blocks held without pages for them");
}

void KvCache::share(Blocks blocks) {
    for (const std::uint64_t name : blocks) {
        const auto found = index_.find(name);
        private_ -= block_pages_;
        if (found == index_.end()) {
            entries_[add_entry(name)].holders = 1;
            ++held_;
            continue;
        }
        Entry& entry = entries_[found->second];
        if (entry.tier != kHbm) {
            unlink(orders_[entry.tier], found->second);
            entry.tier = kHbm;
            ++held_;
        } else {
            free_ += block_pages_;
            if (entry.holders == 0) {
                unlink(orders_[kHbm], found->second);
                --idle_;
                ++held_;
            }
        }
        ++entry.holders;
    }
}

void KvCache::release(Blocks blocks) {
    for (std::size_t i = blocks.size(); i-- > 0;) {
        const std::uint32_t number = index_.at(blocks[i]);
        Entry& entry = entries_[number];
        if (--entry.holders > 0) continue;
        --held_;
        ++idle_;
        append(orders_[kHbm], number);
    }
}

void KvCache::clear() { *this = KvCache(spec_); }

void KvCache::check() const {
    if (free_ + private_ + block_pages_ * (held_ + idle_) != spec_.pages || free_ < 0 ||
        private_ < 0 || held_ < 0 || idle_ != orders_[kHbm].size) {
        throw std::logic_error("KV pages are not conserved");
    }
}

std::uint32_t KvCache::add_entry(std::uint64_t name) {
    std::uint32_t number;
    if (unused_.empty()) {
        number = static_cast<std::uint32_t>(entries_.size());
        entries_.emplace_back();
    } else {
        number = unused_.back();
        unused_.pop_back();
    }
    entries_[number] = Entry{.name = name};
    index_.emplace(name, number);
    return number;
}

void KvCache::append(Order& order, std::uint32_t number) {
    Entry& entry = entries_[number];
    entry.before = order.last;
    entry.after = kNone;
    (order.last == kNone ? order.first : entries_[order.last].after) = number;
    order.last = number;
    ++order.size;
}

void KvCache::unlink(Order& order, std::uint32_t number) {
    const Entry& entry = entries_[number];
    (entry.before == kNone ? order.first : entries_[entry.before].after) = entry.after;
    (entry.after == kNone ? order.last : entries_[entry.after].before) = entry.before;
    --order.size;
}

// Idle blocks leave HBM, least recently used first, until so many pages are free.
void KvCache::forget_idle(std::int64_t until_free) {
    while (free_ < until_free && orders_[kHbm].size > 0) {
        const std::uint32_t number = orders_[kHbm].first;
        unlink(orders_[kHbm], number);
        --idle_;
        free_ += block_pages_;
        move_down(number, kHost);
    }
}

// Into the first tier from `tier` on that exists; the ones pushed out there go further down.
void KvCache::move_down(std::uint32_t number, std::uint8_t tier) {
    while (tier < kTiers && tier_blocks_[tier] == 0) ++tier;
    if (tier == kTiers) {
        index_.erase(entries_[number].name);
        unused_.push_back(number);
        return;
    }
    entries_[number].tier = static_cast<Tier>(tier);
    append(orders_[tier], number);
    if (orders_[tier].size <= tier_blocks_[tier]) return;
    const std::uint32_t oldest = orders_[tier].first;
    unlink(orders_[tier], oldest);
    move_down(oldest, tier + 1);
}

}  // namespace orrery
