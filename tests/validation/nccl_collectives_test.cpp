// NCCL's collectives beside measured ones: leave one size out on two GPUs, eight GPUs from two, and
// reports/nccl_collectives.md, which holds what this program finds (ORRERY_WRITE_REPORTS=1 writes
// it anew).
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "collective/protocol_costs.hpp"
#include "core/config.hpp"

namespace orrery {
namespace {

using Row = ProtocolCosts::Row;
using Rows = std::vector<Row>;

const std::string kRoot = std::string(ORRERY_SOURCE_DIR) + "/";
constexpr double kLink = 356.709e9;  // B/s, of the machine that was measured
constexpr FlowCollective kKinds[] = {FlowCollective::all_reduce, FlowCollective::all_gather,
                                     FlowCollective::reduce_scatter, FlowCollective::all_to_all,
                                     FlowCollective::send_recv};

bool is_p2p(FlowCollective kind) {
    return kind == FlowCollective::all_to_all || kind == FlowCollective::send_recv;
}

const ClusterProfile& node() {
    static const ClusterProfile profile = load_cluster("h200_8", kRoot + "hw_profiles");
    return profile;
}
const NcclTuning& tuning() {
    static const NcclTuning tuning = *NcclTuning::of(node());
    return tuning;
}

// The profile's rows, from one of its two files.
Rows rows_of(const std::string& file) {
    ClusterProfile one = node();
    std::erase_if(one.tables, [&](const DataTable& t) {
        return t.name == "protocol_times" && t.file.find(file) == std::string::npos;
    });
    return ProtocolCosts::of(one, tuning())->rows();
}
// The other session on two GPUs: NCCL's choice only, taken for what the tuning says it is.
Rows other_session() {
    ClusterProfile one = node();
    std::erase_if(one.tables, [&](const DataTable& t) { return t.name == "protocol_times"; });
    const auto file = ConfigNode::load(kRoot + "tests/validation/data/nccl_two_h200.json");
    one.tables.push_back(read_data_table(file, "protocol_times"));
    return ProtocolCosts::of(one, tuning())->rows();
}

// What NCCL chooses for the row's kind, ranks and bytes.
ProtocolCosts::Shape chosen(ProtocolCosts::Shape shape) {
    if (is_p2p(shape.kind)) return shape;
    const auto n = static_cast<std::uint32_t>(shape.ranks);
    const auto best = tuning().estimates(shape.kind, n, n, Bytes(shape.bytes)).front();
    shape.algorithm = best.algorithm;
    shape.protocol = best.protocol;
    return shape;
}
// Of those rows, the ones NCCL would run: one a kind, number of ranks and size.
Rows default_rows(const Rows& rows, double ranks) {
    Rows result;
    for (const Row& row : rows) {
        const auto best = chosen(row.shape);
        if (row.shape.ranks != ranks || best.algorithm != row.shape.algorithm ||
            best.protocol != row.shape.protocol) {
            continue;
        }
        const auto same = [&](const Row& r) {
            return r.shape.kind == row.shape.kind && r.shape.bytes == row.shape.bytes;
        };
        const auto before = std::find_if(result.begin(), result.end(), same);
        if (before == result.end()) result.push_back(row);
    }
    return result;
}
Rows without(Rows rows, const std::function<bool(const Row&)>& out) {
    std::erase_if(rows, out);
    return rows;
}

struct Errors {
    FlowCollective kind;
    std::vector<double> signed_errors;  // by size
    double median() const {
        auto e = signed_errors;
        for (double& x : e) x = std::abs(x);
        std::sort(e.begin(), e.end());
        return (e[(e.size() - 1) / 2] + e[e.size() / 2]) / 2;
    }
    double worst() const {
        return *std::max_element(signed_errors.begin(), signed_errors.end(),
                                 [](double a, double b) { return std::abs(a) < std::abs(b); });
    }
    double largest() const { return signed_errors.back(); }
};
using Table = std::vector<Errors>;

// `known` says what may be used for a row.
Table compare(const Rows& measured, const std::function<Rows(const Row&)>& known) {
    Table table;
    for (const FlowCollective kind : kKinds) {
        Errors errors{kind, {}};
        for (const Row& row : measured) {
            if (row.shape.kind != kind) continue;
            const ProtocolCosts costs(known(row), tuning(), kLink);
            errors.signed_errors.push_back(costs.time(row.shape)->value() / row.time - 1);
        }
        table.push_back(std::move(errors));
    }
    return table;
}
double median(const Table& table) {
    Errors all{};
    for (const Errors& e : table) {
        all.signed_errors.insert(all.signed_errors.end(), e.signed_errors.begin(),
                                 e.signed_errors.end());
    }
    return all.median();
}

Table left_out(const Rows& measured, const Rows& known) {
    return compare(measured, [&](const Row& row) {
        return without(known, [&](const Row& r) { return r.shape.bytes == row.shape.bytes; });
    });
}

std::string text(const std::string& title, const Table& table) {
    std::string text = fmt::format(
        "## {}\n\n| kind | sizes | median error | worst | largest size |\n|---|---|---|---|---|\n",
        title);
    for (const Errors& e : table) {
        text += fmt::format("| {} | {} | {:.1f} % | {:+.1f} % | {:+.1f} % |\n", to_string(e.kind),
                            e.signed_errors.size(), 100 * e.median(), 100 * e.worst(),
                            100 * e.largest());
    }
    return text + fmt::format("| all | | {:.1f} % | | |\n\n", 100 * median(table));
}

std::string fitted(const ProtocolCosts& costs) {
    std::string text =
        "## What the protocols cost\n\n| | base | a step | rate | own chunk |\n|---|---|---|---|---"
        "|\n";
    for (const auto& fit : costs.fits()) {
        if (fit.protocol == FlowProtocol::none) continue;
        text += fmt::format("| {} {} | {:.1f} us | {:.2f} us | {:.0f} GB/s | {:.0f} GB/s |\n",
                            to_string(fit.algorithm), to_string(fit.protocol), 1e6 * fit.x[0],
                            1e6 * fit.x[1], 1e-9 / fit.x[2], 1e-9 / fit.x[3]);
    }
    text += "\n| | base | a channel | all channels |\n|---|---|---|---|\n";
    for (const auto& fit : costs.fits()) {
        if (fit.protocol != FlowProtocol::none) continue;
        text += fmt::format("| {} | {:.1f} us | {} | {:.0f} GB/s |\n", to_string(fit.kind),
                            1e6 * fit.x[0],
                            fit.x[1] > 0 ? fmt::format("{:.0f} GB/s", 1e-9 / fit.x[1]) : "no limit",
                            1e-9 / fit.x[2]);
    }
    return text + "\n";
}

constexpr const char* kIntro =
    "# NCCL's collectives, modelled and measured\n\n"
    "`tests/validation/nccl_collectives_test.cpp` computes this page and checks it "
    "(`ORRERY_WRITE_REPORTS=1` writes it anew).\nTimes are NCCL kernels by CUPTI on H200s of one "
    "node, NVLS off: `hw_profiles/measured/h200_x2_collectives.json`,\n`h200_x8_collectives.json` "
    "(NCCL 2.28.9, sizes 1 KiB to 1 GiB), and another session on two GPUs,\n"
    "`tests/validation/data/nccl_two_h200.json` (NCCL 2.28.3). The model is in\n"
    "`sim/collective/protocol_costs.hpp`, NCCL's choice in `sim/collective/nccl_tuning.hpp`; "
    "error = predicted / measured - 1.\nThe choice is not fitted: the column nccl_estimate_us of "
    "those files, NCCL's own estimate of every call, comes out to\n1e-5 "
    "(`tests/unit/collective/nccl_tuning_test.cpp`).\n\n";

constexpr const char* kEnd =
    "The other session is up to 15 % faster with small messages (reduce_scatter of 1 KiB 3.55 us, "
    "4.13 us in the\nprofile's), which stays in \"from the profile's two GPUs\". Largest errors "
    "are where NCCL changes protocol (1 to 4 MiB)\nand at the ends of the range, where a size "
    "left out has neighbours on one side only. From two GPUs to eight, the\nrule of bytes a rank "
    "sends and log2 n latencies was 12 to 71 % off in the median\n"
    "(`reports/measured/h200_x8_collectives.md`). What is left there: a step of LL128 takes 3.1 us "
    "more between two\nGPUs than it does in a longer ring, where it takes 1.5 us; and send_recv, "
    "for which NCCL takes 4 channels a pair\nof eight and 16 between two, and a channel is not as "
    "fast in both.\n";

struct Report {
    Table own, other, across, eight_from_two, eight;
    std::string page;
};

const Report& report() {
    static const Report report = [] {
        const Rows two = rows_of("h200_x2"), eight = rows_of("h200_x8"), other = other_session();
        const Rows two_own = default_rows(two, 2), eight_own = default_rows(eight, 8);
        Report r;
        r.own = left_out(two_own, two);
        r.other = left_out(other, other);
        r.across = left_out(other, two);
        r.eight_from_two = compare(eight_own, [&](const Row&) { return two; });
        Rows both = two;
        both.insert(both.end(), eight.begin(), eight.end());
        r.eight = left_out(eight_own, both);
        r.page =
            std::string(kIntro) + fitted(*ProtocolCosts::of(node(), tuning())) +
            text("Two GPUs, the size left out, from the other sizes", r.own) +
            text("Two GPUs, the other session, the size left out", r.other) +
            text("The other session from the profile's two GPUs, the size left out", r.across) +
            text("Eight GPUs from two", r.eight_from_two) +
            text("Eight GPUs, the size left out, from the other sizes on two, four and eight",
                 r.eight) +
            kEnd;
        return r;
    }();
    return report;
}

TEST(NcclCollectives, TwoGpusWithOneSizeLeftOut) {
    EXPECT_LE(median(report().own), 0.05);
    EXPECT_LE(median(report().other), 0.05);
    for (const Errors& e : report().own) EXPECT_EQ(e.signed_errors.size(), 11u);
    for (const Errors& e : report().other) EXPECT_EQ(e.signed_errors.size(), 11u);
}

TEST(NcclCollectives, EightGpus) {
    EXPECT_LE(median(report().eight), 0.05);
    EXPECT_LE(median(report().eight_from_two), 0.12);
}

TEST(NcclCollectives, TheReportSaysWhatComesOut) {
    const std::string path = kRoot + "reports/nccl_collectives.md";
    if (std::getenv("ORRERY_WRITE_REPORTS") != nullptr) std::ofstream(path) << report().page;
    std::ifstream file(path);
    const std::string committed{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(committed, report().page);
}

}  // namespace
}  // namespace orrery
