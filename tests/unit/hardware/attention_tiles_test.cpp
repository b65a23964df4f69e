// The path of the SM that ends last, tile by tile by hand; a tile costs 1/2 and its blocks.

#include "hardware/attention_tiles.hpp"

#include <gtest/gtest.h>

namespace orrery {
namespace {

Attention shape(AttentionPass pass, std::int64_t queries, std::int64_t keys, std::int64_t heads) {
    return {pass, 1, queries, keys, heads, heads, 128, 128, true};
}

// 256 tokens: tiles of 1 and 2 blocks. One SM 1.5 + 2.5; two SMs 2.5. With two heads on two SMs:
// 1.5 | 2.5, then the second head's 1.5 behind the first and its 2.5 behind the second: 5.
TEST(AttentionTiles, ForwardTilesInTurn) {
    const Attention one = shape(AttentionPass::forward, 256, 256, 1);
    EXPECT_DOUBLE_EQ((AttentionTiles{1, 1e12}.longest_path(one)), 4.0);
    EXPECT_DOUBLE_EQ((AttentionTiles{2, 1e12}.longest_path(one)), 2.5);
    const Attention two = shape(AttentionPass::forward, 256, 256, 2);
    EXPECT_DOUBLE_EQ((AttentionTiles{2, 1e12}.longest_path(two)), 5.0);
}

// 192 tokens: keys 128.. are seen by 64 queries (1/2 block), keys 0.. by 192 (1 1/2).
TEST(AttentionTiles, BackwardCountsQueriesBySixtyFour) {
    const Attention a = shape(AttentionPass::backward, 192, 192, 1);
    EXPECT_DOUBLE_EQ((AttentionTiles{1, 1e12}.longest_path(a)), 0.5 + 0.5 + 0.5 + 1.5);
}

// 128 queries behind 384 keys see four blocks; without the mask the same. A window of 128 leaves
// query 0 keys 257.., the last one keys up to 511: 255 keys, two blocks.
TEST(AttentionTiles, PrefixAndWindow) {
    Attention a = shape(AttentionPass::forward, 128, 512, 1);
    EXPECT_DOUBLE_EQ((AttentionTiles{1, 1e12}.longest_path(a)), 4.5);
    a.causal = false;
    EXPECT_DOUBLE_EQ((AttentionTiles{1, 1e12}.longest_path(a)), 4.5);
    a.causal = true;
    a.window = 128;
    EXPECT_DOUBLE_EQ((AttentionTiles{1, 1e12}.longest_path(a)), 2.5);
}

// Above 4,000 tiles the closed form takes over: within 2 % of dealing them out one by one, which
// 3,968 tiles (31 heads of 128) still are.
TEST(AttentionTiles, ManyTilesByTheMean) {
    const AttentionTiles h100{132, 2.9e12};
    const double below = h100.longest_path(shape(AttentionPass::forward, 16384, 16384, 31));
    const double above = h100.longest_path(shape(AttentionPass::forward, 16384, 16384, 32));
    EXPECT_NEAR(above / below, 32.0 / 31, 0.02);
}

TEST(AttentionTiles, UnitTurnsTimeAround) {
    const AttentionTiles h100{132, 2.9e12};
    const Attention a = shape(AttentionPass::backward, 4096, 4096, 32);
    EXPECT_NEAR(h100.time(a, h100.unit(a, 700e-6)), 700e-6, 1e-12);
    EXPECT_GT(h100.time(a, 0), 3.5e-6);  // start and traffic are left
}

}  // namespace
}  // namespace orrery
