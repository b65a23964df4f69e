// Expert all-to-all by hand on small groups: NVLink 160 GB/s, NIC 50 GB/s, and round numbers for
// the rest.

#include "collective/expert_all_to_all.hpp"

#include <gtest/gtest.h>

#include "collective/expert_loads.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

const std::string kProfiles = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles";

ClusterProfile cluster() {
    ClusterProfile c = load_cluster("h800_ib_2048", kProfiles);
    ExpertCosts& e = *c.expert_costs;
    e.nic_efficiency.value = Ratio(0.8);     // 40 GB/s
    e.nvlink_efficiency.value = Ratio(0.5);  // 80 GB/s
    e.overlap_loss.value = Ratio(0.25);
    e.message_time.value = Seconds(1e-6);
    e.barrier.value = Seconds(1e-3);
    e.sm_dispatch.value = BytesPerSecond(10e9);
    e.sm_combine.value = BytesPerSecond(5e9);
    e.staging_2025_02.value = BytesPerSecond(4e9);
    return c;
}

// Two nodes of two ranks, top 2. Every rank sends 100 tokens; each goes to one expert on either
// rank of the other node: selections and rank pairs 100 to each, node pairs 100 to that node, 0 to
// its own.
ExpertTraffic across() {
    ExpertTraffic t;
    t.ranks = 4;
    t.ranks_per_node = 2;
    t.tokens = 100;
    t.top_k = 2;
    t.selections = t.rank_pairs = {0, 0, 100, 100, 0, 0, 100, 100, 100, 100, 0, 0, 100, 100, 0, 0};
    t.node_pairs = {0, 100, 0, 100, 100, 0, 100, 0};
    t.slot_rows = {200, 200, 200, 200};
    return t;
}

// One node of two ranks, top 1: rank 0 keeps 60 tokens and sends 40, rank 1 keeps 90 and sends 10.
ExpertTraffic inside() {
    ExpertTraffic t;
    t.ranks = t.ranks_per_node = 2;
    t.tokens = 100;
    t.top_k = 1;
    t.selections = t.rank_pairs = {60, 40, 10, 90};
    t.node_pairs = {100, 100};
    t.slot_rows = {70, 130};
    return t;
}

TEST(ExpertTraffic, Sums) {
    EXPECT_EQ(inside().rows(), (std::vector<std::int64_t>{70, 130}));
    EXPECT_DOUBLE_EQ(inside().imbalance(), 1.3);
    EXPECT_EQ(across().mean_nodes(), 1);
    EXPECT_EQ(across().mean_ranks(), 2);
}

// A rank's NIC sends 100 and receives 100 (from the rank of its index). It forwards 200 copies, 100
// of them to itself, so 100 over NVLink, and receives 100 from the other rank of its node.
TEST(ExpertLoads, ForwardedThroughTheSameIndex) {
    const ForwardedLoads loads = forwarded_loads(across());
    EXPECT_EQ(loads.nic.sent, std::vector<std::int64_t>(4, 100));
    EXPECT_EQ(loads.nic.received, std::vector<std::int64_t>(4, 100));
    EXPECT_EQ(loads.nvlink.sent, std::vector<std::int64_t>(4, 100));
    EXPECT_EQ(loads.nvlink.received, std::vector<std::int64_t>(4, 100));
    EXPECT_EQ(loads.forwarded, std::vector<std::int64_t>(4, 200));
}

TEST(ExpertLoads, DirectByNvlinkOrByRdma) {
    EXPECT_EQ(direct_loads(across(), false).nic.sent, std::vector<std::int64_t>(4, 200));
    EXPECT_EQ(direct_loads(inside(), false).nvlink.sent, (std::vector<std::int64_t>{40, 10}));
    EXPECT_EQ(direct_loads(inside(), false).nvlink.received, (std::vector<std::int64_t>{10, 40}));
    EXPECT_EQ(direct_loads(inside(), true).nic.sent, (std::vector<std::int64_t>{40, 10}));
    EXPECT_EQ(direct_loads(inside(), true).nvlink.most(), 0);
}

// Payload 1 MB: NIC 100 MB / 40 GB/s = 2.5 ms, NVLink 100 MB / 80 GB/s = 1.25 ms, 100 SMs copy
// 200 x 2 MB / 1 TB/s = 0.4 ms: 2.5 + 0.25 x 1.25 = 2.8125 ms and both latencies. 100 pairs.
TEST(ExpertAllToAll, NormalIsAPipelineOfTwoStages) {
    const ExpertAllToAll model(cluster());
    const ExpertTransfer transfer{ExpertMode::normal, ExpertVersion::v2025_06, Bytes(1e6), 100};
    const ExpertTime time = model.time(across(), transfer);
    EXPECT_NEAR(time.time.value(), 2.8125e-3 + 3.7e-6 + 3.33e-6, 1e-12);
    EXPECT_NEAR(time.nic.value(), 2.5e-3, 1e-12);
    EXPECT_NEAR(time.nvlink.value(), 1.25e-3, 1e-12);
    EXPECT_NEAR(time.sm.value(), 0.4e-3, 1e-12);
    EXPECT_EQ(time.limit, "NIC");
    EXPECT_NEAR(time.bandwidth.value(), 100e6 / time.time.value(), 1e-3);
    EXPECT_EQ(time.sms, 100);
    EXPECT_EQ(time.origin, Origin::derived);
}

// Ten SMs: 200 x 2 MB / 100 GB/s = 4 ms, longer than the NIC's 2.5: 4 + 0.25 x 2.5.
TEST(ExpertAllToAll, FewSmsAreTheLimit) {
    const ExpertAllToAll model(cluster());
    const ExpertTime time =
        model.time(across(), {ExpertMode::normal, ExpertVersion::v2025_06, Bytes(1e6), 10});
    EXPECT_NEAR(time.time.value(), 4.625e-3 + 7.03e-6, 1e-12);
    EXPECT_EQ(time.limit, "SMs");
}

// Combining, they are half as fast: 8 + 0.25 x 2.5.
TEST(ExpertAllToAll, CombiningSmsAreSlower) {
    const ExpertTransfer transfer{ExpertMode::normal, ExpertVersion::v2025_06, Bytes(1e6), 10,
                                  false};
    EXPECT_NEAR(ExpertAllToAll(cluster()).time(across(), transfer).time.value(), 8.625e-3 + 7.03e-6,
                1e-12);
}

// 100 pairs of 1 MB at 4 GB/s: 25 ms; not inside a node.
TEST(ExpertAllToAll, TheFirstVersionStagesItsPairs) {
    const ExpertAllToAll model(cluster());
    const ExpertTransfer first{ExpertMode::normal, ExpertVersion::v2025_02, Bytes(1e6), 100};
    EXPECT_NEAR(model.time(across(), first).time.value(), 25e-3 + 7.03e-6, 1e-12);
    EXPECT_EQ(model.time(across(), first).limit, "staging");
    // 40 MB at 80 GB/s; received on average 100 tokens.
    const ExpertTime node = model.time(inside(), first);
    EXPECT_NEAR(node.time.value(), 0.5e-3 + 0.25 * 0 + 3.33e-6, 1e-12);
    EXPECT_NEAR(node.bandwidth.value(), 100e6 / node.time.value(), 1e-3);
}

// 200 messages of 1 MB: 200 x (25 us + 1 us) = 5.2 ms after a barrier of 1 ms. In the node 40
// messages over NVLink at 160 GB/s: 0.25 ms; by RDMA 40 x 26 us.
TEST(ExpertAllToAll, LowLatencyCountsMessages) {
    const ExpertAllToAll model(cluster());
    ExpertTransfer transfer{ExpertMode::low_latency, ExpertVersion::v2025_06, Bytes(1e6), 100};
    const ExpertTime far = model.time(across(), transfer);
    EXPECT_NEAR(far.time.value(), 6.2e-3, 1e-12);
    EXPECT_NEAR(far.bandwidth.value(), 200e6 / 6.2e-3, 1e-3);
    EXPECT_EQ(far.sms, 0);
    EXPECT_NEAR(model.time(inside(), transfer).time.value(), 1.25e-3, 1e-12);
    transfer.version = ExpertVersion::v2025_04;
    EXPECT_NEAR(model.time(inside(), transfer).time.value(), 1e-3 + 40 * 26e-6, 1e-12);
}

// One rank gets everything of the others: it is late, they are not; the mean is what is printed.
TEST(ExpertAllToAll, LowLatencyRanksDiffer) {
    ExpertTraffic t = across();
    t.selections = {0, 0, 200, 0, 0, 0, 200, 0, 200, 0, 0, 0, 200, 0, 0, 0};
    const ExpertTime time = ExpertAllToAll(cluster()).time(
        t, {ExpertMode::low_latency, ExpertVersion::v2025_06, Bytes(1e6), 24});
    EXPECT_NEAR(time.ranks[0], 1e-3 + 400 * 26e-6, 1e-12);  // receives 400
    EXPECT_NEAR(time.ranks[1], 1e-3 + 200 * 26e-6, 1e-12);  // sends 200
    EXPECT_EQ(time.slowest.value(), time.ranks[0]);
    EXPECT_NEAR(time.time.value(), (time.ranks[0] + time.ranks[1]) / 2, 1e-15);
}

// Normal: all begin when the last has arrived and counts have crossed twice: 5 ms + 14.06 us. Low
// latency: rank 3 is last at 5 ms, the others are done one exchange after it, having waited.
// Two nodes, one sender with twice the others' tokens: NIC 2 x 4 = 8 (even: 5), inside max(1.5 x 2,
// 3, 1.5 x 2) = 3, of which a quarter shows. Four times: NIC 16, forwarders 2.5 x 2 = 5. Low
// latency: the largest of all ways.
TEST(ExpertAllToAll, AFullSenderByHand) {
    const ExpertAllToAll a2a(cluster());
    const ExpertStages s{
        .nic_sent = 4, .nic_received = 5, .nvlink_sent = 2, .nvlink_received = 3, .forwarded = 2};
    EXPECT_DOUBLE_EQ(a2a.flight(ExpertMode::normal, s, 2, 1), 5 + 0.75);
    EXPECT_DOUBLE_EQ(a2a.flight(ExpertMode::normal, s, 2, 2), 8 + 0.75);
    EXPECT_DOUBLE_EQ(a2a.flight(ExpertMode::normal, s, 2, 4), 16 + 1.25);
    EXPECT_DOUBLE_EQ(a2a.flight(ExpertMode::low_latency, s, 2, 1), 5);
    EXPECT_DOUBLE_EQ(a2a.flight(ExpertMode::low_latency, s, 2, 2), 8);
}

// Eight nodes of eight ranks; every rank sends 64 tokens to each rank, each to its node for itself.
ExpertTraffic everywhere(int first_rank_times) {
    ExpertTraffic t;
    t.ranks = 64;
    t.ranks_per_node = 8;
    t.tokens = 64;
    t.top_k = 64;
    t.selections.assign(64 * 64, 64);
    t.node_pairs.assign(64 * 8, 64);
    for (std::size_t i = 0; i < 64; ++i) t.selections[i] *= first_rank_times;
    for (std::size_t i = 0; i < 8; ++i) t.node_pairs[i] *= first_rank_times;
    t.rank_pairs = t.selections;
    t.slot_rows.assign(64, 64 * 64);
    return t;
}

// The formula against the traffic itself where rank 0 sends three times as much as the others. The
// mean is 66 tokens: 3 x 64 / 66 of it and others below it, which the formula takes to be at it.
TEST(ExpertAllToAll, AFullSenderIsNearItsTraffic) {
    const ExpertAllToAll a2a(cluster());
    for (const ExpertMode mode : {ExpertMode::normal, ExpertMode::low_latency}) {
        const ExpertTransfer transfer{.mode = mode, .payload = Bytes(1e6), .sms = 20};
        const ExpertTime even = a2a.time(everywhere(1), transfer);
        const ExpertTime uneven = a2a.time(everywhere(3), transfer);
        const double around =
            even.slowest.value() - a2a.flight(mode, even.stages, 8, 1);  // latencies, barrier
        const double by_formula = a2a.flight(mode, even.stages * (66.0 / 64), 8, 3 * 64 / 66.0);
        EXPECT_GE(by_formula, uneven.slowest.value() - around - 1e-12);
        EXPECT_NEAR(by_formula, uneven.slowest.value() - around, 0.03 * by_formula);
        EXPECT_GT(uneven.slowest, even.slowest);
    }
}

TEST(ExpertAllToAll, StragglersAreWaitedFor) {
    const ExpertAllToAll model(cluster());
    const std::vector<double> arrivals{0, 1e-3, 0, 5e-3};
    const ExpertTransfer normal{ExpertMode::normal, ExpertVersion::v2025_06, Bytes(1e6), 100};
    const ExpertTimeline line = model.timeline(across(), normal, arrivals);
    EXPECT_NEAR(line.begin[0], 5e-3 + 14.06e-6, 1e-12);
    EXPECT_EQ(line.end[0], line.end[3]);
    EXPECT_NEAR(line.waited[1], 4e-3 + 14.06e-6, 1e-12);
    EXPECT_NEAR(line.waited[3], 14.06e-6, 1e-12);
    const ExpertTransfer low{ExpertMode::low_latency, ExpertVersion::v2025_06, Bytes(1e6), 100};
    const ExpertTimeline decode = model.timeline(across(), low, arrivals);
    EXPECT_NEAR(decode.end[0], 5e-3 + 6.2e-3, 1e-12);
    EXPECT_NEAR(decode.waited[0], 5e-3, 1e-12);
    EXPECT_NEAR(decode.waited[3], 0, 1e-12);
    EXPECT_THROW(model.timeline(across(), low, {0, 0}), InputError);
}

TEST(ExpertAllToAll, Payloads) {
    EXPECT_EQ(expert_payload(ExpertMode::normal, true, 7168), Bytes(7392));
    EXPECT_EQ(expert_payload(ExpertMode::low_latency, true, 7168), Bytes(7408));
    EXPECT_EQ(expert_payload(ExpertMode::normal, false, 7168), Bytes(14336));
}

TEST(ExpertAllToAll, RefusesWhatCannotBe) {
    ClusterProfile bare = cluster();
    bare.expert_costs.reset();
    EXPECT_THROW(ExpertAllToAll{bare}, InputError);
    const ExpertAllToAll model(cluster());
    EXPECT_THROW(model.time(across(), {.payload = Bytes(0)}), InputError);
    EXPECT_THROW(model.time(across(), {.payload = Bytes(1), .sms = 0}), InputError);
    EXPECT_THROW(parse_expert_version("2025-03", "--set version"), InputError);
    EXPECT_THROW(parse_expert_mode("fast", "--mode"), InputError);
}

}  // namespace
}  // namespace orrery
