#pragma once
// The KV cache of one attention group: pages in HBM, prefixes that requests share, lower tiers.
//
//   A page holds page_tokens tokens of one sequence; a sequence of c tokens holds ceil(c / page)
//   pages. Requests whose prompts begin alike share blocks (Request::blocks), each block_tokens
//   long and of P = block_tokens / page_tokens pages. A block's name stands for it and all before
//   it, so the set of leading names found is the longest common prefix: a radix tree without nodes.
//
//   At every moment   pages = free + private + P (held + idle)
//     private   pages of single sequences
//     held      blocks that at least one sequence uses
//     idle      blocks nobody uses, kept until their pages are needed
//
//   An idle block least recently used goes first. Sequences let go of their blocks from the last
//   to the first, so a block never outlives the one before it. What leaves HBM moves to the host
//   tier if there is one, what leaves that to the SSD tier, then it is forgotten; a block is in one
//   tier at a time.
//
// Left out: which page is which (paging makes them equal), writing to lower tiers (its bandwidth),
// sharing of blocks that requests generate, copies in several tiers.

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/time.hpp"

namespace orrery {

struct KvTier {
    std::int64_t tokens = 0;          // capacity; 0: there is none
    SimDuration load_per_token = {};  // from here into HBM
};

struct KvSpec {
    std::int64_t pages = 0;         // in HBM
    std::int64_t page_tokens = 1;   // >= 1
    std::int64_t block_tokens = 0;  // of Request::blocks, a multiple of page_tokens; 0: no sharing
    KvTier host = {}, ssd = {};
};

class KvCache {
  public:
    using Blocks = std::span<const std::uint64_t>;

    explicit KvCache(const KvSpec& spec);

    // Leading blocks that are in some tier.
    struct Hit {
        std::int64_t blocks = 0;
        std::int64_t idle = 0;           // of them in HBM and held by nobody
        std::int64_t host = 0, ssd = 0;  // of them in lower tiers
    };
    Hit find(Blocks blocks) const;

    // Pages that can be had: free ones and those of idle blocks.
    std::int64_t available() const { return free_ + idle_ * block_pages_; }
    std::int64_t used_pages() const { return private_ + held_ * block_pages_; }
    std::int64_t pages() const { return spec_.pages; }
    std::int64_t page_tokens() const { return spec_.page_tokens; }
    std::int64_t block_pages() const { return block_pages_; }
    std::int64_t pages_for(std::int64_t tokens) const {
        return (tokens + spec_.page_tokens - 1) / spec_.page_tokens;
    }

    // Takes pages for one sequence, forgetting idle blocks where needed; false, and nothing
    // happens, where fewer are available.
    bool take(std::int64_t pages);
    void give(std::int64_t pages);

    // Holds leading blocks that find() has just found, bringing those of lower tiers into HBM.
    // available() must cover what the lower ones need beside the idle ones that become held.
    void hold(Blocks blocks);
    // Blocks that a sequence has computed into private pages of its own become shared and held by
    // it. Where a block is already there, the sequence uses that and its own pages become free.
    void share(Blocks blocks);
    // A sequence lets go of blocks it holds, `blocks` from the prompt's beginning.
    void release(Blocks blocks);
    // Everything is lost.
    void clear();

    // Throws std::logic_error where pages are not conserved.
    void check() const;

  private:
    enum Tier : std::uint8_t { kHbm, kHost, kSsd, kTiers };
    static constexpr std::uint32_t kNone = UINT32_MAX;
    struct Entry {
        std::uint64_t name = 0;
        std::uint32_t before = kNone, after = kNone;  // in the order of use of its tier
        std::uint32_t holders = 0;
        Tier tier = kHbm;
    };
    struct Order {  // least recently used first
        std::uint32_t first = kNone, last = kNone;
        std::int64_t size = 0;
    };

    std::uint32_t add_entry(std::uint64_t name);
    void append(Order& order, std::uint32_t entry);
    void unlink(Order& order, std::uint32_t entry);
    void forget_idle(std::int64_t until_free);
    void move_down(std::uint32_t entry, std::uint8_t tier);

    KvSpec spec_;
    std::int64_t block_pages_ = 0;
    std::int64_t tier_blocks_[kTiers] = {};  // capacity, of the lower tiers
    std::int64_t free_ = 0, private_ = 0, held_ = 0, idle_ = 0;
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> unused_;
    std::unordered_map<std::uint64_t, std::uint32_t> index_;
    Order orders_[kTiers];  // of idle blocks
};

}  // namespace orrery
