// Protocol costs from times: rows made by known costs give those back.
#include "collective/protocol_costs.hpp"

#include <gtest/gtest.h>

#include "collective/nonnegative_fit.hpp"
#include "core/config.hpp"

namespace orrery {
namespace {

const std::string kProfiles = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles/";

NcclTuning tuning() { return *NcclTuning::of(load_cluster("h200_8", kProfiles)); }

// ring LL on a link of 400 GB/s: 4 us, 1 us a step, 160 GB/s (the link carries 200 of them), own
// chunk at 500 GB/s.
double made(const ProtocolCosts::Shape& s) {
    const double steps = ring_steps(s.kind, static_cast<std::uint32_t>(s.ranks));
    return 4e-6 + steps * 1e-6 + steps * s.bytes / s.ranks / 160e9 + s.bytes / s.ranks / 500e9;
}
std::vector<ProtocolCosts::Row> made_rows(double factor = 1) {
    std::vector<ProtocolCosts::Row> rows;
    for (const double ranks : {2.0, 8.0}) {
        for (const FlowCollective kind : {FlowCollective::all_reduce, FlowCollective::all_gather}) {
            for (double bytes = 1024; bytes < 1e8; bytes *= 16) {
                const ProtocolCosts::Shape shape{
                    kind, FlowAlgorithm::ring, FlowProtocol::ll, ranks, 1, bytes};
                rows.push_back({shape, made(shape) * factor});
            }
        }
    }
    return rows;
}

TEST(NonnegativeFit, FindsCoefficientsAndLeavesOutNegativeOnes) {
    // 2 + 3 x, exactly.
    const auto line = nonnegative_fit({{{1, 1}, 5, 5}, {{1, 2}, 8, 8}, {{1, 4}, 14, 14}});
    EXPECT_NEAR(line[0], 2, 1e-9);
    EXPECT_NEAR(line[1], 3, 1e-9);
    // -1 + 4 x is the line; without the constant, errors relative to 1: sum x y / sum x x
    // = (3 + 14 + 60) / 21.
    const auto through = nonnegative_fit({{{1, 1}, 3, 1}, {{1, 2}, 7, 1}, {{1, 4}, 15, 1}});
    EXPECT_EQ(through[0], 0);
    EXPECT_NEAR(through[1], 77.0 / 21, 1e-9);
    // A column that nothing uses.
    EXPECT_EQ(nonnegative_fit({{{1, 0}, 5, 5}})[1], 0);
}

TEST(ProtocolCosts, KnownCostsComeBack) {
    const ProtocolCosts costs(made_rows(), tuning(), 400e9);
    ASSERT_EQ(costs.fits().size(), 1u);
    const auto& x = costs.fits().front().x;
    EXPECT_NEAR(x[0] * 1e6, 4, 1e-6);
    EXPECT_NEAR(x[1] * 1e6, 1, 1e-6);
    EXPECT_NEAR(1e-9 / x[2], 160, 1e-3);
    EXPECT_NEAR(1e-9 / x[3], 500, 1e-2);
    // 16 ranks and a size that were not there.
    const ProtocolCosts::Shape other{
        FlowCollective::all_gather, FlowAlgorithm::ring, FlowProtocol::ll, 16, 1, 3e6};
    EXPECT_NEAR(costs.time(other)->value() / made(other), 1, 1e-9);
    EXPECT_FALSE(costs.time({.algorithm = FlowAlgorithm::nvls}));
}

// On a link of 200 GB/s, half of which LL's payload is, it cannot have moved 160: the rate is 100.
TEST(ProtocolCosts, NoRateIsBeyondTheLinks) {
    const ProtocolCosts costs(made_rows(), tuning(), 200e9);
    EXPECT_NEAR(1e-9 / costs.fits().front().x[2], 100, 1e-9);
}

// Measured sizes come out as measured, also where the line is not: here one size takes twice as
// long.
TEST(ProtocolCosts, MeasuredSizesComeOutAsMeasured) {
    auto rows = made_rows();
    rows[2].time *= 2;
    const ProtocolCosts costs(rows, tuning(), 400e9);
    for (const auto& row : rows) EXPECT_NEAR(costs.time(row.shape)->value() / row.time, 1, 1e-12);
}

// Half the link rate: bytes take twice as long, launch and steps as long.
TEST(ProtocolCosts, SlowerLinksStretchBytesOnly) {
    const ProtocolCosts costs(made_rows(), tuning(), 400e9, 2);
    const auto price = costs.price(made_rows()[3].shape);
    EXPECT_NEAR(price->fixed * 1e6, 6, 1e-6);
    EXPECT_NEAR(price->moving, 2 * 2 * made_rows()[3].shape.bytes / 2 / 160e9, 1e-9);
}

// Two nodes of eight: 2 of the 30 steps go over the network and take 2.7 - 0.6 us more (ring LL).
TEST(ProtocolCosts, StepsBetweenNodesTakeLonger) {
    const ProtocolCosts costs(made_rows(), tuning(), 400e9);
    const auto price = costs.price(
        {FlowCollective::all_reduce, FlowAlgorithm::ring, FlowProtocol::ll, 16, 2, 1e6});
    EXPECT_NEAR(price->fixed * 1e6, 4 + 30 + 2 * 2.1, 1e-6);
}

// CTAs of every measured send_recv; of all_to_all up to what peers without bytes to send leave out.
TEST(ProtocolCosts, ChannelsAreThoseThatWereMeasured) {
    const auto json = ConfigNode::load(kProfiles + "measured/h200_x8_collectives.json");
    const DataTable table = read_data_table(json.at("tables").at("collectives"), "collectives");
    const auto kind = table.column("kind"), ranks = table.column("ranks");
    const auto bytes = table.column("bytes"), ctas = table.column("ctas");
    int compared = 0;
    for (std::size_t i = 0; i < table.rows(); ++i) {
        const auto& row = table.numbers[i];
        if (table.number(i, "ctas_set", 0) != 0 || table.texts[i][kind] != "send_recv") continue;
        EXPECT_EQ(p2p_channels(FlowCollective::send_recv, row[ranks], row[bytes]), row[ctas]);
        ++compared;
    }
    EXPECT_EQ(compared, 33);
    EXPECT_EQ(p2p_channels(FlowCollective::all_to_all, 8, 1 << 30), 32);
}

}  // namespace
}  // namespace orrery
