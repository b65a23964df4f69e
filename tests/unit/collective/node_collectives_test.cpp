// Collectives inside a node from measured tables: which measured curve is taken, and how far what
// two GPUs showed is from what four and eight showed (reports/measured/h200_x8_collectives.md).

#include "collective/node_collectives.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "core/config.hpp"

namespace orrery {
namespace {

using K = CommunicationKind;

const std::string kProfiles = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles/";

DataTable measured_on_eight() {
    const auto file = ConfigNode::load(kProfiles + "measured/h200_x8_collectives.json");
    return read_data_table(file.at("tables").at("node_collectives"), "node_collectives");
}

// The table without the rows that `out` says, on a node whose NVLink is as measured.
ClusterProfile node_without(const DataTable& all,
                            const std::function<bool(const DataTable&, std::size_t)>& out) {
    DataTable table = all;
    table.texts.clear();
    table.numbers.clear();
    for (std::size_t i = 0; i < all.rows(); ++i) {
        if (out(all, i)) continue;
        table.texts.push_back(all.texts[i]);
        table.numbers.push_back(all.numbers[i]);
    }
    static const ClusterProfile profile = load_cluster("h100_8", kProfiles);
    ClusterProfile node = profile;
    node.nvlink_bandwidth.value = BytesPerSecond(all.numbers[0][all.column("nvlink_GBps")] * 1e9);
    node.nvlink_latency.value = Seconds(5.568e-6);  // NCCL send_recv of 1 KiB between two GPUs
    for (DataTable& t : node.tables)
        if (t.name == "node_collectives") t = table;
    return node;
}

struct Errors {
    double median = 0, worst = 0;  // |predicted / measured - 1|
};

Errors errors_of(std::vector<double> e) {
    std::sort(e.begin(), e.end());
    return {(e[(e.size() - 1) / 2] + e[e.size() / 2]) / 2, e.back()};
}

// From the curves of two ranks, for all sizes of `kind` on `ranks`.
Errors from_two(K kind, double ranks) {
    const DataTable all = measured_on_eight();
    const auto bytes = all.column("bytes_sent"), time = all.column("time_us");
    const auto n = all.column("ranks");
    const NodeCollectives two(
        node_without(all, [&](const DataTable& t, std::size_t i) { return t.numbers[i][n] > 2; }));
    std::vector<double> errors;
    for (std::size_t i = 0; i < all.rows(); ++i) {
        const auto& row = all.numbers[i];
        if (row[n] != ranks || all.text(i, "kind", "") != to_string(kind)) continue;
        const auto t = two.time(kind, std::int64_t(ranks), row[bytes]);
        errors.push_back(std::abs(*t * 1e6 / row[time] - 1));
    }
    return errors_of(errors);
}

// Each inner size of `ranks` from the other sizes of as many ranks.
Errors size_left_out(K kind, double ranks) {
    const DataTable all = measured_on_eight();
    const auto bytes = all.column("bytes_sent"), time = all.column("time_us");
    const auto n = all.column("ranks");
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < all.rows(); ++i)
        if (all.numbers[i][n] == ranks && all.text(i, "kind", "") == to_string(kind))
            rows.push_back(i);
    std::vector<double> errors;
    for (std::size_t k = 1; k + 1 < rows.size(); ++k) {
        const NodeCollectives others(
            node_without(all, [&](const DataTable&, std::size_t i) { return i == rows[k]; }));
        const auto& row = all.numbers[rows[k]];
        const auto t = others.time(kind, std::int64_t(ranks), row[bytes]);
        errors.push_back(std::abs(*t * 1e6 / row[time] - 1));
    }
    return errors_of(errors);
}

TEST(NodeCollectives, MeasuredRanksComeBackExactly) {
    const DataTable all = measured_on_eight();
    const NodeCollectives node(
        node_without(all, [](const DataTable&, std::size_t) { return false; }));
    const auto bytes = all.column("bytes_sent"), time = all.column("time_us");
    for (std::size_t i = 0; i < all.rows(); ++i) {
        const auto& row = all.numbers[i];
        for (int k = 0; k <= int(K::send_recv); ++k) {
            if (all.text(i, "kind", "") != to_string(K(k))) continue;
            const auto t = node.time(K(k), std::int64_t(row[all.column("ranks")]), row[bytes]);
            EXPECT_NEAR(*t * 1e6 / row[time], 1, 1e-9);
        }
    }
}

// Six ranks are priced by the curve of four and one hop more (ceil(log2 6) = 3, of four 2); one
// curve alone serves fewer ranks too: two ranks from eight's have two hops less.
TEST(NodeCollectives, OtherRanksTakeTheNextFewer) {
    const DataTable all = measured_on_eight();
    const auto n = all.column("ranks");
    const NodeCollectives node(
        node_without(all, [](const DataTable&, std::size_t) { return false; }));
    EXPECT_NEAR(*node.time(K::all_reduce, 6, 1e7), *node.time(K::all_reduce, 4, 1e7) + 5.568e-6,
                1e-12);
    const NodeCollectives eight(
        node_without(all, [&](const DataTable& t, std::size_t i) { return t.numbers[i][n] < 8; }));
    EXPECT_NEAR(*eight.time(K::all_reduce, 2, 1e8),
                *node.time(K::all_reduce, 8, 1e8) - 2 * 5.568e-6, 1e-12);
}

// The figures of the report, made before the curves of four and eight ranks were used for a price.
TEST(NodeCollectives, PredictionFromTwoGpusAgainstFourAndEight) {
    struct Row {
        K kind;
        double ranks, median, worst;
    };
    const Row rows[] = {
        {K::all_reduce, 4, 0.1596, 0.3128},     {K::all_reduce, 8, 0.1172, 0.2340},
        {K::all_gather, 4, 0.3843, 0.6041},     {K::all_gather, 8, 0.4061, 0.6727},
        {K::reduce_scatter, 4, 0.5430, 0.6257}, {K::reduce_scatter, 8, 0.5327, 0.7821},
        {K::broadcast, 4, 0.4299, 1.2698},      {K::broadcast, 8, 0.8487, 2.3341},
        {K::all_to_all, 4, 0.4079, 0.9287},     {K::all_to_all, 8, 0.7053, 1.8549},
        {K::send_recv, 4, 0.4128, 0.9162},      {K::send_recv, 8, 0.6179, 1.4159}};
    for (const Row& r : rows) {
        const Errors e = from_two(r.kind, r.ranks);
        EXPECT_NEAR(e.median, r.median, 6e-4) << to_string(r.kind) << " " << r.ranks;
        EXPECT_NEAR(e.worst, r.worst, 6e-4) << to_string(r.kind) << " " << r.ranks;
    }
}

TEST(NodeCollectives, OneSizeLeftOut) {
    struct Row {
        K kind;
        double ranks, median, worst;
    };
    const Row rows[] = {
        {K::all_reduce, 2, 0.0207, 0.2109},     {K::all_reduce, 4, 0.0213, 0.1644},
        {K::all_reduce, 8, 0.0272, 0.1061},     {K::all_gather, 2, 0.0293, 0.2648},
        {K::all_gather, 4, 0.0257, 0.3669},     {K::all_gather, 8, 0.0404, 0.2006},
        {K::reduce_scatter, 2, 0.0525, 0.2629}, {K::reduce_scatter, 4, 0.0370, 0.3914},
        {K::reduce_scatter, 8, 0.0319, 0.1646}, {K::broadcast, 2, 0.0492, 0.1332},
        {K::broadcast, 4, 0.0406, 0.2091},      {K::broadcast, 8, 0.0466, 0.1485},
        {K::all_to_all, 2, 0.1012, 0.1972},     {K::all_to_all, 4, 0.0591, 0.1897},
        {K::all_to_all, 8, 0.0305, 0.3238},     {K::send_recv, 2, 0.0446, 0.1181},
        {K::send_recv, 4, 0.1511, 0.3279},      {K::send_recv, 8, 0.1115, 0.5589}};
    for (const Row& r : rows) {
        const Errors e = size_left_out(r.kind, r.ranks);
        EXPECT_NEAR(e.median, r.median, 6e-4) << to_string(r.kind) << " " << r.ranks;
        EXPECT_NEAR(e.worst, r.worst, 6e-4) << to_string(r.kind) << " " << r.ranks;
    }
}

}  // namespace
}  // namespace orrery
