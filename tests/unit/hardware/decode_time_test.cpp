#include "hardware/decode_time.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "hardware/accelerator_profile.hpp"

namespace orrery {
namespace {

const std::string kProfiles = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles";

AcceleratorProfile with(std::vector<std::vector<double>> rows, Origin origin = Origin::measured) {
    AcceleratorProfile profile = load_accelerator("h100_sxm5", kProfiles);
    profile.tables.clear();
    DataTable table;
    table.name = "attention_decode";
    table.file = "test.json";
    table.from = {origin, "test"};
    table.columns = {"sequences", "query_length",  "key_length", "query_heads",
                     "key_heads", "query_key_dim", "value_dim",  "time_us"};
    table.numbers = std::move(rows);
    table.texts.assign(table.numbers.size(), std::vector<std::string>(table.columns.size()));
    profile.tables.push_back(table);
    return profile;
}

Attention decode(std::int64_t sequences, std::int64_t tokens, std::int64_t keys, std::int64_t heads,
                 std::int64_t key_heads) {
    return {AttentionPass::decode, sequences, tokens, keys, heads, key_heads, 128, 128, true};
}

double us(const DecodeTimes& times, const Attention& a, double sms = 132) {
    return times.time(a, sms)->time.value() * 1e6;
}

// Two rows of 8 requests, 8 heads on one key head: 1024 keys take 10 us, 4096 take 20. 2 * 64 *
// keys
// * 256 FLOP: 33.6 and 134 MFLOP, the best rate R = 6.71 TFLOP/s; the shortest time f = 10 us. The
// model says 10 + 5 and 10 + 20 us (memory would take 1.4 and 5.6), both times 2/3.
class DecodeRows : public testing::Test {
  protected:
    DecodeTimes times{with({{8, 1, 1024, 8, 1, 128, 128, 10}, {8, 1, 4096, 8, 1, 128, 128, 20}})};
};

TEST_F(DecodeRows, AreReturnedWhereMeasured) {
    EXPECT_NEAR(us(times, decode(8, 1, 1024, 8, 1)), 10, 1e-9);
    EXPECT_NEAR(us(times, decode(8, 1, 4096, 8, 1)), 20, 1e-9);
    const Estimate e = *times.time(decode(8, 1, 4096, 8, 1), 132);
    EXPECT_EQ(e.origin, Origin::measured);
    EXPECT_EQ(e.spread, 0);
}

// 2048 keys: (10 + 10) * 2/3.
TEST_F(DecodeRows, ModelTimesRatioBetween) {
    EXPECT_NEAR(us(times, decode(8, 1, 2048, 8, 1)), 40.0 / 3, 1e-9);
    // Only the last 2048 of 4096 keys are seen.
    Attention a = decode(8, 1, 4096, 8, 1);
    a.window = 2048;
    EXPECT_NEAR(us(times, a), 40.0 / 3, 1e-9);
    EXPECT_EQ(times.time(a, 132)->origin, Origin::derived);
}

// Key heads are as good as requests, query tokens as good as heads.
TEST_F(DecodeRows, EqualWorkCostsTheSame) {
    EXPECT_NEAR(us(times, decode(1, 1, 2048, 64, 8)), 40.0 / 3, 1e-9);
    EXPECT_NEAR(us(times, decode(4, 2, 2048, 8, 2)), 40.0 / 3, 1e-9);
}

// Half of the SMs halve R: (10 + 20) * 2/3.
TEST_F(DecodeRows, FewerSmsComputeSlower) {
    EXPECT_NEAR(us(times, decode(8, 1, 2048, 8, 1), 66), 20, 1e-9);
    EXPECT_EQ(times.time(decode(8, 1, 2048, 8, 1), 66)->origin, Origin::derived);
}

// Head dims of 64 take the rows of 128; no rows serve absorbed MLA.
TEST_F(DecodeRows, OtherHeadDimsAreDerived) {
    Attention a = decode(8, 1, 4096, 8, 1);
    a.query_key_dim = a.value_dim = 64;
    EXPECT_EQ(times.time(a, 132)->origin, Origin::derived);
    EXPECT_LT(us(times, a), 20);
    a.query_key_dim = 576;
    a.value_dim = 512;
    EXPECT_FALSE(times.time(a, 132));
}

// The latent kernel multiplies 64 query rows at a time: 80 heads cost the 128 heads of the one row,
// 2 * 132 * 128 * 4096 * 1088 FLOP in 250 us (memory: 0.65 GB in about 220 us).
TEST(DecodeTimes, LatentRowsCountInTiles) {
    const DecodeTimes times(with({{132, 1, 4096, 128, 1, 576, 512, 250}}));
    Attention a = decode(132, 1, 4096, 80, 1);
    a.query_key_dim = 576;
    a.value_dim = 512;
    EXPECT_NEAR(us(times, a), 250, 1e-9);
    a.query_heads = 128;
    a.query_length = 2;  // four tiles: (250 + 500) / 2
    EXPECT_NEAR(us(times, a), 375, 1e-9);
}

TEST(DecodeTimes, NothingMeasuredNothingPriced) {
    AcceleratorProfile profile = with({});
    EXPECT_FALSE(DecodeTimes(profile).time(decode(1, 1, 64, 8, 1), 132));
    profile.tables[0].columns[7] = "seconds";
    EXPECT_THROW(DecodeTimes{profile}, InputError);
}

// FlashMLA's published rates come before times carried over from the H100; they say nothing of
// GQA. The H100 has its own times for both.
TEST(DecodeTimes, ProfilesChooseTheStrongestOrigin) {
    Attention mla = decode(128, 1, 4096, 128, 1);
    mla.query_key_dim = 576;
    mla.value_dim = 512;
    const Attention gqa = decode(128, 1, 4096, 64, 8);
    const DecodeTimes h800(load_accelerator("h800_sxm5", kProfiles)),
        h100(load_accelerator("h100_sxm5", kProfiles));
    EXPECT_EQ(h800.time(mla, 132)->rule, "attention_decode rates");
    EXPECT_EQ(h800.time(mla, 132)->origin, Origin::published);
    EXPECT_EQ(h800.time(gqa, 132)->origin, Origin::derived);
    EXPECT_EQ(h100.time(mla, 132)->origin, Origin::measured);
    EXPECT_EQ(us(h800, gqa), us(h100, gqa));
    // 146 GFLOP at 660 TFLOP/s, 221 us, against 284 us of our own kernel.
    EXPECT_NEAR(us(h800, mla), 2.0 * 128 * 128 * 4096 * 1088 / 660e6, 1e-6);
    EXPECT_NEAR(us(h100, mla), 284.453, 1e-3);
}

// Every row of the measurements, read from the others.
TEST(DecodeTimes, RowsPredictEachOther) {
    const DecodeTimes h100(load_accelerator("h100_sxm5", kProfiles));
    const auto errors = h100.leave_one_out();
    ASSERT_EQ(errors.size(), 2U);
    for (const auto& e : errors) {
        EXPECT_GT(e.errors.points, 200U) << e.name;
        EXPECT_LT(e.errors.median, 0.05) << e.name;
    }
}

}  // namespace
}  // namespace orrery
