// The search for the fewest GPUs, on answers known beforehand.
#include "study/size_search.hpp"

#include <gtest/gtest.h>

#include "core/random.hpp"

namespace orrery {

// 1 ... 64 engines, the answer n: asked are few, and n - 1 among them.
TEST(SizeSearch, OnePool) {
    for (std::int64_t answer = 1; answer <= 64; ++answer) {
        std::vector<std::int64_t> asked;
        const auto found = fewest({{{1, 64, 8}}}, [&](const Engines& e) {
            asked.push_back(e[0]);
            return e[0] >= answer;
        });
        ASSERT_TRUE(found);
        EXPECT_EQ((*found)[0], answer);
        EXPECT_LE(asked.size(), 13u) << answer;
        EXPECT_TRUE(answer == 1 || std::count(asked.begin(), asked.end(), answer - 1) == 1);
    }
    EXPECT_FALSE(fewest({{{1, 64, 8}}}, [](const Engines&) { return false; }));
}

// Bounds of the pool and of all GPUs hold.
TEST(SizeSearch, StaysInside) {
    const auto inside = [](const Engines& e) {
        EXPECT_GE(e[0], 3);
        EXPECT_LE(e[0], 5);
        return false;
    };
    EXPECT_FALSE(fewest({{{3, 9, 8}}, 47}, inside));  // 47 / 8 = 5 engines
    EXPECT_FALSE(fewest({{{3, 9, 8}}, 23}, [](const Engines&) { return true; }));
}

// Two and three pools where more engines never hurt: as few GPUs as trying every size gives.
TEST(SizeSearch, SeveralPoolsAsEverySize) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        std::uint64_t draw = 0;
        const auto pick = [&](std::uint64_t n) {
            return static_cast<std::int64_t>(counter_hash(seed, 3, draw++) % n);
        };
        SizeSpace space;
        const std::int64_t pools = 2 + pick(2);
        for (std::int64_t p = 0; p < pools; ++p) {
            const std::int64_t least = 1 + pick(3);
            space.pools.push_back({least, least + pick(9), 1 + pick(18)});
        }
        if (pick(2) == 0) space.most_gpus = 100 + pick(100);
        // Needs some of each, and enough together: a little of one replaces a little of another.
        std::vector<std::int64_t> need, power;
        for (std::int64_t p = 0; p < pools; ++p) {
            need.push_back(pick(6));
            power.push_back(1 + pick(4));
        }
        const std::int64_t sum = 5 + pick(25);
        const auto will_do = [&](const Engines& e) {
            std::int64_t have = 0;
            for (std::size_t p = 0; p < e.size(); ++p) {
                if (e[p] < need[p]) return false;
                have += power[p] * e[p];
            }
            return have >= sum;
        };
        const auto fast = fewest(space, will_do);
        const auto slow = fewest(space, will_do, true);
        ASSERT_EQ(fast.has_value(), slow.has_value()) << seed;
        if (fast) {
            EXPECT_EQ(space.gpus(*fast), space.gpus(*slow)) << seed;
        }
    }
}

}  // namespace orrery
