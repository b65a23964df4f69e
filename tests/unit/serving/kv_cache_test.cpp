// Pages are conserved; prefixes are found, shared, forgotten in order of use and moved down.
#include "serving/kv_cache.hpp"

#include <algorithm>
#include <list>
#include <map>
#include <set>
#include <stdexcept>

#include <gtest/gtest.h>

#include "core/random.hpp"

namespace orrery {
namespace {

using Names = std::vector<std::uint64_t>;

// 10 pages of 4 tokens, blocks of 8 tokens: 2 pages each.
KvSpec small() { return {.pages = 10, .page_tokens = 4, .block_tokens = 8}; }

TEST(KvCache, PagesAreTakenAndGivenBack) {
    KvCache cache(small());
    EXPECT_EQ(cache.pages_for(9), 3);
    EXPECT_TRUE(cache.take(7));
    EXPECT_FALSE(cache.take(4));
    EXPECT_EQ(cache.available(), 3);
    cache.give(7);
    EXPECT_EQ(cache.used_pages(), 0);
    EXPECT_THROW(KvCache({.pages = 1, .page_tokens = 3, .block_tokens = 8}), std::logic_error);
}

// A sequence computes blocks 1 2 3 (6 pages) and ends: all idle. A second one that begins with 1 2
// holds those; a third takes 5 pages, for which block 3 is forgotten: 4 free + 2.
TEST(KvCache, PrefixesAreSharedAndForgottenLastBlockFirst) {
    KvCache cache(small());
    const Names chain = {1, 2, 3}, other = {1, 2, 9};
    ASSERT_TRUE(cache.take(6));
    cache.share(chain);
    EXPECT_EQ(cache.used_pages(), 6);
    cache.release(chain);
    cache.check();
    EXPECT_EQ(cache.used_pages(), 0);
    EXPECT_EQ(cache.available(), 10);
    const KvCache::Hit hit = cache.find(other);
    EXPECT_EQ(hit.blocks, 2);
    EXPECT_EQ(hit.idle, 2);
    cache.hold({other.data(), 2});
    EXPECT_EQ(cache.available(), 6);
    ASSERT_TRUE(cache.take(5));
    EXPECT_EQ(cache.find(chain).blocks, 2);
    EXPECT_FALSE(cache.take(2));
    cache.check();
}

// Two sequences compute the same block at once: the second's pages become free.
TEST(KvCache, ComputedTwiceIsKeptOnce) {
    KvCache cache(small());
    const Names chain = {1};
    ASSERT_TRUE(cache.take(4));
    cache.share(chain);
    cache.share(chain);
    EXPECT_EQ(cache.used_pages(), 2);
    cache.release(chain);
    EXPECT_EQ(cache.used_pages(), 2);  // the other one still holds it
    cache.release(chain);
    EXPECT_EQ(cache.used_pages(), 0);
    cache.check();
}

// Host has room for 2 blocks, SSD for 1. Of 1 2 3 4 idle in HBM, taking everything moves 4, 3, 2, 1
// down in this order: 4 passes to SSD when 2 comes, 3 when 1 comes, and 4 is forgotten.
TEST(KvCache, LowerTiersTakeWhatLeaves) {
    KvSpec spec = small();
    spec.host.tokens = 16;
    spec.ssd.tokens = 8;
    KvCache cache(spec);
    const Names chain = {1, 2, 3, 4};
    ASSERT_TRUE(cache.take(8));
    cache.share(chain);
    cache.release(chain);
    ASSERT_TRUE(cache.take(10));
    KvCache::Hit hit = cache.find(chain);
    EXPECT_EQ(hit.blocks, 3);
    EXPECT_EQ(hit.host, 2);
    EXPECT_EQ(hit.ssd, 1);
    cache.give(10);
    cache.hold({chain.data(), 3});
    EXPECT_EQ(cache.used_pages(), 6);
    EXPECT_EQ(cache.find(chain).host + cache.find(chain).ssd, 0);
    cache.check();
    cache.clear();
    EXPECT_EQ(cache.available(), 10);
    EXPECT_EQ(cache.find(chain).blocks, 0);
}

constexpr std::int64_t kMs = 1'000'000'000;
SimTime at_ms(std::int64_t ms) { return SimTime{ms * kMs}; }

// 4 pages, blocks of 2 pages and 8 tokens; 1, 2 are idle. Writing takes 1 ms a token, reading 2. At
// 100 ms both are written back: clean at 116. At 110 they are wanted again: read from 116 to 148.
TEST(KvCache, WritingAndReadingShareTheLink) {
    KvSpec spec{.pages = 4, .page_tokens = 4, .block_tokens = 8};
    spec.host = {.tokens = 16, .load_per_token = {2 * kMs}, .write_per_token = {kMs}};
    KvMoves moves;
    KvCache cache(spec, &moves);
    const Names chain = {1, 2};
    ASSERT_TRUE(cache.take(4));
    cache.share(chain, at_ms(0));
    cache.release(chain);
    ASSERT_TRUE(cache.take(4, at_ms(100)));
    EXPECT_EQ(cache.clean(), at_ms(116));
    EXPECT_EQ(cache.clean(), SimTime{});
    cache.give(4);
    EXPECT_EQ(cache.hold(chain, at_ms(110)), at_ms(148));
    EXPECT_EQ(moves.written, 16);
    EXPECT_EQ(moves.loaded, 16);
    cache.check();
}

// Written through: on the host at 8 and 16 ms. Taking block 2's pages at 5 waits for its copy, at
// 20 for nothing. What is loaded stays on the host: leaving HBM again costs no writing.
TEST(KvCache, WhatIsWrittenThroughLeavesForNothing) {
    KvSpec spec{.pages = 4, .page_tokens = 4, .block_tokens = 8, .write_through = true};
    spec.host = {.tokens = 16, .load_per_token = {2 * kMs}, .write_per_token = {kMs}};
    KvMoves moves;
    KvCache cache(spec, &moves);
    const Names chain = {1, 2};
    ASSERT_TRUE(cache.take(4));
    cache.share(chain, at_ms(0));
    cache.release(chain);
    ASSERT_TRUE(cache.take(2, at_ms(5)));
    EXPECT_EQ(cache.clean(), at_ms(16));
    cache.give(2);
    EXPECT_EQ(cache.find(chain).host, 1);
    EXPECT_EQ(cache.find(chain).idle, 1);
    EXPECT_EQ(cache.hold(chain, at_ms(20)), at_ms(36));
    cache.release(chain);
    ASSERT_TRUE(cache.take(4, at_ms(40)));
    EXPECT_LE(cache.clean(), at_ms(40));
    EXPECT_EQ(moves.written, 16);
    EXPECT_EQ(cache.find(chain).host, 2);
    cache.check();
}

// The host has room for one block. Block 2 is written until 8; block 1 needs its place, which SSD
// has at 8 + 24 (3 ms a token), so block 1 is on the host, and all pages are clean, at 40. Reading
// both from 40 on: SSD's at 40 + 4 x 8, the host's link carries both until 40 + 2 x 16.
TEST(KvCache, APlaceOnTheHostIsWaitedFor) {
    KvSpec spec{.pages = 4, .page_tokens = 4, .block_tokens = 8};
    spec.host = {.tokens = 15, .load_per_token = {2 * kMs}, .write_per_token = {kMs}};
    spec.ssd = {.tokens = 8, .load_per_token = {4 * kMs}, .write_per_token = {3 * kMs}};
    KvCache cache(spec);
    const Names chain = {1, 2};
    ASSERT_TRUE(cache.take(4));
    cache.share(chain, at_ms(0));
    cache.release(chain);
    ASSERT_TRUE(cache.take(4, at_ms(0)));
    EXPECT_EQ(cache.clean(), at_ms(40));
    EXPECT_EQ(cache.find(chain).host, 1);
    EXPECT_EQ(cache.find(chain).ssd, 1);
    cache.give(4);
    EXPECT_EQ(cache.hold(chain, at_ms(40)), at_ms(72));
    cache.check();
}

// Host memory of 10 pages: 30 tokens take 8 of them, and push out one of the two blocks there.
// 9 more tokens (3 pages) do not fit, 8 do when the other block goes. In and out: 30 + 8 + 30.
TEST(KvCache, SwappedSequencesTakeHostMemory) {
    KvSpec spec{.pages = 4, .page_tokens = 4, .block_tokens = 8};
    spec.host = {.tokens = 40, .load_per_token = {2 * kMs}, .write_per_token = {kMs}};
    KvMoves moves;
    KvCache cache(spec, &moves);
    const Names chain = {1, 2};
    ASSERT_TRUE(cache.take(4));
    cache.share(chain, at_ms(0));
    cache.release(chain);
    ASSERT_TRUE(cache.take(4, at_ms(0)));  // the link is busy until 16
    cache.give(4);
    EXPECT_EQ(cache.swap_out(30, at_ms(10)), at_ms(46));
    EXPECT_EQ(cache.swapped_pages(), 8);
    EXPECT_EQ(cache.find(chain).host, 1);
    EXPECT_EQ(cache.swap_out(9, at_ms(50)), std::nullopt);
    EXPECT_EQ(cache.find(chain).host, 1);
    EXPECT_EQ(cache.swap_out(8, at_ms(50)), at_ms(58));
    EXPECT_EQ(cache.find(chain).blocks, 0);
    cache.check();
    EXPECT_EQ(cache.swap_in(30, at_ms(60)), at_ms(120));
    cache.end_swap(30);
    cache.end_swap(8);
    EXPECT_EQ(cache.swapped_pages(), 0);
    EXPECT_EQ(moves.swapped, 68);
    cache.check();
}

// The slow twin: a list of idle blocks in order of use, sets otherwise, one tier below HBM.
struct Twin {
    std::int64_t pages, block_pages, host_blocks, private_pages = 0;
    std::map<std::uint64_t, int> held;
    std::list<std::uint64_t> idle, host;  // least recently used first

    std::int64_t available() const {
        return pages - private_pages - static_cast<std::int64_t>(held.size()) * block_pages;
    }
    void make_room() {  // at most `pages` in use and idle together
        while (private_pages + static_cast<std::int64_t>(held.size() + idle.size()) * block_pages >
               pages) {
            host.push_back(idle.front());
            idle.pop_front();
            if (static_cast<std::int64_t>(host.size()) > host_blocks) host.pop_front();
        }
    }
    bool contains(std::uint64_t name) const {
        return held.contains(name) || std::count(idle.begin(), idle.end(), name) > 0 ||
               std::count(host.begin(), host.end(), name) > 0;
    }
    void hold(const Names& names) {
        for (const std::uint64_t name : names) {
            idle.remove(name);
            host.remove(name);
            ++held[name];
        }
        make_room();
    }
    void release(const Names& names) {
        for (std::size_t i = names.size(); i-- > 0;) {
            if (--held[names[i]] > 0) continue;
            held.erase(names[i]);
            idle.push_back(names[i]);
        }
    }
};

TEST(KvCache, AgreesWithAListOnRandomSequences) {
    KvSpec spec{.pages = 60, .page_tokens = 4, .block_tokens = 8};
    spec.host.tokens = 5 * 8;
    KvCache cache(spec);
    Twin twin{60, 2, 5, 0, {}, {}, {}};
    struct Sequence {
        Names names;
        std::int64_t pages;
    };
    std::vector<Sequence> running;
    std::uint64_t draw = 0;
    const auto random = [&](std::uint64_t n) { return counter_hash(5, 1, draw++) % n; };
    std::int64_t admitted = 0;
    for (int step = 0; step < 20'000; ++step) {
        if (random(2) == 0 && !running.empty()) {
            const std::size_t i = random(running.size());
            cache.release(running[i].names);
            cache.give(running[i].pages);
            twin.private_pages -= running[i].pages;
            twin.release(running[i].names);
            running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
        } else {
            // A path in a tree of prefixes: names are paths.
            Names names;
            std::uint64_t name = 1;
            for (std::uint64_t depth = random(6); depth > 0; --depth) {
                names.push_back(name = name * 3 + random(3));
            }
            const KvCache::Hit hit = cache.find(names);
            std::size_t found = 0;
            while (found < names.size() && twin.contains(names[found])) ++found;
            ASSERT_EQ(hit.blocks, static_cast<std::int64_t>(found));
            const std::int64_t own = static_cast<std::int64_t>(random(7));
            const std::int64_t fresh = (static_cast<std::int64_t>(names.size()) - hit.blocks) * 2;
            if (own + fresh + 2 * (hit.host + hit.ssd) > cache.available() - 2 * hit.idle) continue;
            const Names leading(names.begin(), names.begin() + hit.blocks);
            const Names rest(names.begin() + hit.blocks, names.end());
            cache.hold(leading);
            ASSERT_TRUE(cache.take(own + fresh));
            cache.share(rest);
            twin.hold(leading);
            twin.private_pages += own + fresh;
            twin.make_room();
            twin.private_pages -= fresh;
            twin.hold(rest);
            running.push_back({names, own});
            ++admitted;
        }
        cache.check();
        ASSERT_EQ(cache.available(), twin.available());
    }
    EXPECT_GT(admitted, 5000);
}

}  // namespace
}  // namespace orrery
