// Three tiers, written back or through, with sequences swapped to the host, against lists on random
// sequences.
#include <algorithm>
#include <list>
#include <map>

#include <gtest/gtest.h>

#include "core/random.hpp"
#include "serving/kv_cache.hpp"

namespace orrery {
namespace {

using Names = std::vector<std::uint64_t>;

// Lists in order of use and nothing else. Blocks of 2 pages.
struct TierTwin {
    std::int64_t pages, host_pages, ssd_blocks;
    bool through;
    std::int64_t private_pages = 0, swapped = 0;
    std::map<std::uint64_t, int> held = {};
    std::list<std::uint64_t> idle = {}, host = {}, ssd = {};

    static bool in(const std::list<std::uint64_t>& list, std::uint64_t name) {
        return std::count(list.begin(), list.end(), name) > 0;
    }
    bool in_hbm(std::uint64_t name) const { return held.contains(name) || in(idle, name); }
    std::int64_t host_room() const { return (host_pages - swapped) / 2; }
    std::int64_t in_use() const {
        return private_pages + 2 * static_cast<std::int64_t>(held.size());
    }
    void make_room() {
        while (in_use() + 2 * static_cast<std::int64_t>(idle.size()) > pages) {
            const std::uint64_t name = idle.front();
            idle.pop_front();
            if (!in(host, name) && !in(ssd, name)) write_down(name);
        }
    }
    void write_down(std::uint64_t name) {
        if (host_room() < 1) return write_to_ssd(name);
        while (static_cast<std::int64_t>(host.size()) >= host_room()) push_out();
        host.push_back(name);
    }
    void write_to_ssd(std::uint64_t name) {
        if (ssd_blocks < 1) return;
        if (static_cast<std::int64_t>(ssd.size()) == ssd_blocks) ssd.pop_front();
        ssd.push_back(name);
    }
    void push_out() {
        const std::uint64_t name = host.front();
        host.pop_front();
        if (!in_hbm(name)) write_to_ssd(name);
    }
    void hold(const Names& names) {
        for (const std::uint64_t name : names) {
            if (held[name]++ > 0) continue;
            const bool was_idle = in(idle, name), on_host = in(host, name);
            idle.remove(name);
            if (was_idle) continue;
            host.remove(name);
            ssd.remove(name);
            if (on_host && through) host.push_back(name);
        }
        make_room();
    }
    void share(const Names& names) {
        for (const std::uint64_t name : names) {
            private_pages -= 2;
            const bool known = in_hbm(name) || in(host, name) || in(ssd, name);
            idle.remove(name);
            const bool first = held[name]++ == 0;
            if (!through && first) {
                host.remove(name);
                ssd.remove(name);
            }
            if (through && !known) write_down(name);
        }
    }
    void release(const Names& names) {
        for (std::size_t i = names.size(); i-- > 0;) {
            if (--held[names[i]] > 0) continue;
            held.erase(names[i]);
            idle.push_back(names[i]);
        }
    }
    KvCache::Hit find(const Names& names) const {
        KvCache::Hit hit;
        for (const std::uint64_t name : names) {
            if (!in_hbm(name) && !in(host, name) && !in(ssd, name)) break;
            ++hit.blocks;
            hit.idle += in(idle, name) ? 1 : 0;
            if (!in_hbm(name)) ++(in(host, name) ? hit.host : hit.ssd);
        }
        return hit;
    }
};

// `swaps` counts those that found room.
void play_tiers(bool through, std::int64_t& loaded, std::int64_t& swaps) {
    KvSpec spec{.pages = 40, .page_tokens = 4, .block_tokens = 8, .write_through = through};
    spec.host.tokens = 15 * 4;
    spec.ssd.tokens = 6 * 8;
    KvMoves moves;
    KvCache cache(spec, &moves);
    TierTwin twin{.pages = 40, .host_pages = 15, .ssd_blocks = 6, .through = through};
    std::vector<std::pair<Names, std::int64_t>> running;
    std::vector<std::int64_t> out;  // tokens of swapped sequences
    std::uint64_t draw = 0;
    const auto random = [&](std::uint64_t n) { return counter_hash(6, through, draw++) % n; };
    for (int step = 0; step < 20'000; ++step) {
        const std::uint64_t what = random(8);
        if (what < 4 && !running.empty()) {
            const std::size_t i = random(running.size());
            cache.release(running[i].first);
            cache.give(running[i].second);
            twin.private_pages -= running[i].second;
            twin.release(running[i].first);
            running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
        } else if (what == 4) {
            const auto tokens = static_cast<std::int64_t>(1 + random(30));
            const std::int64_t pages = (tokens + 3) / 4;
            const bool fits = twin.swapped + pages <= twin.host_pages;
            ASSERT_EQ(cache.swap_out(tokens, {}).has_value(), fits);
            if (!fits) continue;
            twin.swapped += pages;
            while (static_cast<std::int64_t>(twin.host.size()) > twin.host_room()) {
                twin.push_out();
            }
            out.push_back(tokens);
            ++swaps;
        } else if (what == 5 && !out.empty()) {
            cache.end_swap(out.back());
            twin.swapped -= (out.back() + 3) / 4;
            out.pop_back();
        } else {
            Names names;
            std::uint64_t name = 1;
            for (std::uint64_t depth = random(6); depth > 0; --depth) {
                names.push_back(name = name * 3 + random(3));
            }
            const KvCache::Hit hit = cache.find(names), expected = twin.find(names);
            ASSERT_EQ(hit.blocks, expected.blocks);
            ASSERT_EQ(hit.idle, expected.idle);
            ASSERT_EQ(hit.host, expected.host);
            ASSERT_EQ(hit.ssd, expected.ssd);
            const auto own = static_cast<std::int64_t>(random(7));
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
            twin.share(rest);
            running.emplace_back(names, own);
        }
        cache.check();
        ASSERT_EQ(cache.used_pages(), twin.in_use());
        ASSERT_EQ(cache.swapped_pages(), twin.swapped);
    }
    loaded = moves.loaded;
}

TEST(KvTiers, AgreeWithLists) {
    for (const bool through : {false, true}) {
        SCOPED_TRACE(through);
        std::int64_t loaded = 0, swaps = 0;
        play_tiers(through, loaded, swaps);
        EXPECT_GT(loaded, 5000);
        EXPECT_GT(swaps, 500);
    }
}

}  // namespace
}  // namespace orrery
