#include "serving/kv_cache.hpp"

#include <algorithm>
#include <stdexcept>

namespace orrery {

KvCache::KvCache(const KvSpec& spec, KvMoves* moves)
    : spec_(spec),
      moves_(moves),
      host_pages_(spec.host.tokens / spec.page_tokens),
      free_(spec.pages) {
    if (spec.block_tokens <= 0) return;
    block_pages_ = spec.block_tokens / spec.page_tokens;
    if (block_pages_ * spec.page_tokens != spec.block_tokens) {
        throw std::logic_error("pages do not divide the blocks that requests share");
    }
}

KvCache::Hit KvCache::find(Blocks blocks) const {
    Hit hit;
    if (block_pages_ == 0) return hit;
    for (const std::uint64_t name : blocks) {
        const auto found = index_.find(name);
        if (found == index_.end()) break;
        const Entry& entry = entries_[found->second];
        ++hit.blocks;
        if (entry.in(kHbm)) {
            hit.idle += entry.holders == 0 ? 1 : 0;
        } else {
            ++(entry.in(kHost) ? hit.host : hit.ssd);
        }
    }
    return hit;
}

bool KvCache::take(std::int64_t pages, SimTime now) {
    if (pages > available()) return false;
    forget_idle(pages, now);
    free_ -= pages;
    private_ += pages;
    return true;
}

void KvCache::give(std::int64_t pages) {
    private_ -= pages;
    free_ += pages;
}

SimTime KvCache::clean() {
    const SimTime at = clean_;
    clean_ = {};
    return at;
}

SimTime KvCache::hold(Blocks blocks, SimTime now) {
    std::int64_t host = 0, ssd = 0;
    for (const std::uint64_t name : blocks) {
        const std::uint32_t number = index_.at(name);
        Entry& entry = entries_[number];
        if (entry.holders++ > 0) continue;
        ++held_;
        if (entry.in(kHbm)) {
            unlink(kHbm, number);
            --idle_;
            continue;
        }
        const Tier from = entry.in(kHost) ? kHost : kSsd;
        ++(from == kHost ? host : ssd);
        leave(from, number);
        if (spec_.write_through && from == kHost) enter(kHost, number);  // now used last
        entry.tiers |= kInHbm;
    }
    // All of them are out of HBM's order of use: none is pushed out by another one's pages.
    const std::int64_t lower = (host + ssd) * block_pages_;
    forget_idle(lower, now);
    free_ -= lower;
    if (free_ < 0) throw std::logic_error("KV blocks held without pages for them");
    const SimTime from = std::max(now, clean_);
    SimTime there = now;
    const std::int64_t t = spec_.block_tokens;
    if (host + ssd > 0) {
        const std::int64_t crossing = spec_.host.tokens > 0 ? host + ssd : host;
        there = transfer(kHost, from, crossing * t, spec_.host.load_per_token);
    }
    if (ssd > 0) {
        there = std::max(there, transfer(kSsd, from, ssd * t, spec_.ssd.load_per_token));
    }
    if (moves_ != nullptr) moves_->loaded += (host + ssd) * t;
    return there;
}

void KvCache::share(Blocks blocks, SimTime now) {
    for (const std::uint64_t name : blocks) {
        const auto found = index_.find(name);
        private_ -= block_pages_;
        if (found == index_.end()) {
            const std::uint32_t number = add_entry(name);
            entries_[number].holders = 1;
            entries_[number].tiers = kInHbm;
            ++held_;
            if (spec_.write_through) write_down(number, kHost, now);
            continue;
        }
        const std::uint32_t number = found->second;
        Entry& entry = entries_[number];
        if (!entry.in(kHbm)) {
            if (!spec_.write_through) leave(entry.in(kHost) ? kHost : kSsd, number);
            entry.tiers |= kInHbm;
            ++held_;
        } else {
            free_ += block_pages_;
            if (entry.holders == 0) {
                unlink(kHbm, number);
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
        if (--entries_[number].holders > 0) continue;
        --held_;
        ++idle_;
        append(kHbm, number);
    }
}

void KvCache::clear() { *this = KvCache(spec_, moves_); }

void KvCache::check() const {
    if (free_ + private_ + block_pages_ * (held_ + idle_) != spec_.pages || free_ < 0 ||
        private_ < 0 || held_ < 0 || idle_ != orders_[kHbm].size) {
        throw std::logic_error("KV pages are not conserved");
    }
    std::int64_t in[kTiers] = {}, held = 0;
    for (const auto& [name, number] : index_) {
        const Entry& entry = entries_[number];
        for (int tier = kHbm; tier < kTiers; ++tier) in[tier] += entry.in(tier) ? 1 : 0;
        held += entry.holders > 0 ? 1 : 0;
        if (entry.tiers == 0 || (entry.holders > 0 && !entry.in(kHbm)) ||
            (!spec_.write_through && (entry.tiers & (entry.tiers - 1)) != 0)) {
            throw std::logic_error("a KV block is in no tier, or in one too many");
        }
    }
    if (made_ - forgotten_ != static_cast<std::int64_t>(index_.size()) || held != held_ ||
        in[kHbm] != held_ + idle_ || in[kHost] != orders_[kHost].size ||
        in[kSsd] != orders_[kSsd].size) {
        throw std::logic_error("KV blocks are not conserved");
    }
    if (swapped_ < 0 || in[kHost] * block_pages_ + swapped_ > host_pages_ ||
        in[kSsd] * spec_.block_tokens > spec_.ssd.tokens) {
        throw std::logic_error("a tier of the KV cache holds more than it has room for");
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
    ++made_;
    return number;
}

void KvCache::forget(std::uint32_t number) {
    index_.erase(entries_[number].name);
    unused_.push_back(number);
    ++forgotten_;
}

void KvCache::append(Tier tier, std::uint32_t number) {
    Order& order = orders_[tier];
    entries_[number].places[tier] = {order.last, kNone};
    (order.last == kNone ? order.first : entries_[order.last].places[tier].after) = number;
    order.last = number;
    ++order.size;
}

void KvCache::unlink(Tier tier, std::uint32_t number) {
    Order& order = orders_[tier];
    const Place& place = entries_[number].places[tier];
    (place.before == kNone ? order.first : entries_[place.before].places[tier].after) = place.after;
    (place.after == kNone ? order.last : entries_[place.after].places[tier].before) = place.before;
    --order.size;
}

// Idle blocks leave HBM, least recently used first, until so many pages are free.
void KvCache::forget_idle(std::int64_t until_free, SimTime now) {
    while (free_ < until_free && orders_[kHbm].size > 0) {
        const std::uint32_t number = orders_[kHbm].first;
        unlink(kHbm, number);
        --idle_;
        free_ += block_pages_;
        leave_hbm(number, now);
    }
}

}  // namespace orrery
