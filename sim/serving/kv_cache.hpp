#pragma once
// The KV cache of one attention group: pages in HBM, prefixes that requests share, lower tiers, and
// host memory for sequences that were swapped out.
//
//   A page holds page_tokens tokens of one sequence; a sequence of c tokens holds ceil(c / page)
//   pages. Requests whose prompts begin alike share blocks (Request::blocks), each block_tokens
//   long and of P = block_tokens / page_tokens pages. A block's name stands for it and all before
//   it, so the set of leading names found is the longest common prefix: a radix tree without nodes.
//
//   At every moment   pages       = free + private + P (held + idle)
//                     host pages >= P (blocks there) + swapped
//                     blocks made = blocks forgotten + blocks known, each in at least one tier
//     private   pages of single sequences
//     held      blocks in HBM that at least one sequence uses
//     idle      blocks in HBM that nobody uses, kept until their pages are needed
//     swapped   pages of sequences that were preempted and wait in host memory
//
//   An idle block least recently used goes first. Sequences let go of their blocks from the last
//   to the first, so a block never outlives the one before it. What leaves HBM moves to the host
//   tier if there is one, what leaves that to the SSD tier, then it is forgotten. Swapped sequences
//   push blocks out of host memory; where they do not fit even so, they are not swapped.
//
//   write_back     a block is written down when it leaves HBM, whose pages are clean only then; it
//                  is in one tier at a time, and what is loaded leaves the tier it was in
//   write_through  a block is written to the first lower tier as soon as it is computed, which
//                  nobody waits for, and what is loaded stays there: pages of a block that has a
//                  copy are clean once that is written
//
//   Each lower tier has one link, on which reads and writes follow each other:
//     end = max(now, end of the one before) + tokens x time of a token
//   What comes from SSD crosses the host's link, too, and is there when both are through. A block
//   that makes room on the host by going to SSD has to be there before its place is written.
//
// Left out: which page is which (paging makes them equal), both directions of a link at once,
// sharing of blocks that requests generate, writing that is given up where a link is behind.

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/time.hpp"

namespace orrery {

struct KvTier {
    std::int64_t tokens = 0;           // capacity; 0: there is none
    SimDuration load_per_token = {};   // from here into HBM
    SimDuration write_per_token = {};  // into it
};

struct KvSpec {
    std::int64_t pages = 0;         // in HBM
    std::int64_t page_tokens = 1;   // >= 1
    std::int64_t block_tokens = 0;  // of Request::blocks, a multiple of page_tokens; 0: no sharing
    KvTier host = {}, ssd = {};
    bool write_through = false;
};

// Tokens moved between tiers.
struct KvMoves {
    std::int64_t loaded = 0;   // blocks into HBM
    std::int64_t written = 0;  // blocks into lower tiers
    std::int64_t swapped = 0;  // of sequences, out and in
};

class KvCache {
  public:
    using Blocks = std::span<const std::uint64_t>;

    // `moves`, where given, outlives the cache.
    explicit KvCache(const KvSpec& spec, KvMoves* moves = nullptr);

    // Leading blocks that are in some tier.
    struct Hit {
        std::int64_t blocks = 0;
        std::int64_t idle = 0;           // of them in HBM and held by nobody
        std::int64_t host = 0, ssd = 0;  // of them in lower tiers alone
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
    std::int64_t swapped_pages() const { return swapped_; }

    // Takes pages for one sequence, moving idle blocks down where needed; false, and nothing
    // happens, where fewer are available.
    bool take(std::int64_t pages, SimTime now = {});
    void give(std::int64_t pages);
    // When all pages taken since the last call are clean: the blocks that were in them are written
    // down. Time 0 where none was.
    SimTime clean();

    // Holds leading blocks that find() has just found, bringing those of lower tiers into HBM.
    // available() must cover what the lower ones need beside the idle ones that become held.
    // When they are there; `now` where all were.
    SimTime hold(Blocks blocks, SimTime now = {});
    // Blocks that a sequence has computed into private pages of its own become shared and held by
    // it. Where a block is already there, the sequence uses that and its own pages become free.
    void share(Blocks blocks, SimTime now = {});
    // A sequence lets go of blocks it holds, `blocks` from the prompt's beginning.
    void release(Blocks blocks);

    // Writes the tokens of a sequence to host memory, whose pages in HBM are clean when that is
    // done; nullopt, and nothing happens, where they do not fit.
    std::optional<SimTime> swap_out(std::int64_t tokens, SimTime now);
    // Reads them back: when they are in HBM. They leave host memory with end_swap().
    SimTime swap_in(std::int64_t tokens, SimTime now);
    void end_swap(std::int64_t tokens) { swapped_ -= pages_for(tokens); }
    // Everything is lost.
    void clear();

    // Throws std::logic_error where pages or blocks are not conserved.
    void check() const;

  private:
    enum Tier : std::uint8_t { kHbm, kHost, kSsd, kTiers };
    static constexpr std::uint32_t kNone = UINT32_MAX;
    static constexpr std::uint8_t kInHbm = 1U << kHbm;
    struct Place {
        std::uint32_t before = kNone, after = kNone;
    };
    struct Entry {
        std::uint64_t name = 0;
        SimTime written = {};  // its copy in a lower tier is complete
        std::uint32_t holders = 0;
        std::uint8_t tiers = 0;     // bit t: it is in tier t
        Place places[kTiers] = {};  // in the tier's order of use; in HBM's while it is idle

        bool in(int tier) const { return (tiers >> tier & 1) != 0; }
    };
    struct Order {  // least recently used first
        std::uint32_t first = kNone, last = kNone;
        std::int64_t size = 0;
    };

    std::uint32_t add_entry(std::uint64_t name);
    void forget(std::uint32_t entry);
    void append(Tier tier, std::uint32_t entry);
    void unlink(Tier tier, std::uint32_t entry);
    void forget_idle(std::int64_t until_free, SimTime now);

    // kv_cache_tiers.cpp
    std::int64_t room(Tier tier) const;  // blocks, those there included
    void enter(Tier tier, std::uint32_t entry);
    void leave(Tier tier, std::uint32_t entry);
    void leave_hbm(std::uint32_t entry, SimTime now);
    bool write_down(std::uint32_t entry, Tier tier, SimTime now);
    SimTime push_out(Tier tier, SimTime now);
    SimTime transfer(Tier tier, SimTime from, std::int64_t tokens, SimDuration per_token);

    KvSpec spec_;
    KvMoves* moves_ = nullptr;
    std::int64_t block_pages_ = 0, host_pages_ = 0;
    std::int64_t free_ = 0, private_ = 0, held_ = 0, idle_ = 0, swapped_ = 0;
    std::int64_t made_ = 0, forgotten_ = 0;  // blocks
    SimTime clean_ = {};
    SimTime link_free_[kTiers] = {};  // of the lower tiers
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> unused_;
    std::unordered_map<std::uint64_t, std::uint32_t> index_;
    Order orders_[kTiers];  // HBM: idle blocks; lower tiers: all there
};

}  // namespace orrery
