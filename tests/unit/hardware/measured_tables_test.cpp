// The tables that profiles use are the measurements as they were written, fewer columns of them:
// every row of hw_profiles/tables is found again in hw_profiles/measured.

#include <cmath>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "core/config.hpp"
#include "hardware/accelerator_profile.hpp"
#include "hardware/operator_time.hpp"

namespace orrery {
namespace {

const std::string kRoot = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles/";

DataTable used(const std::string& name) {
    return read_data_table(ConfigNode::load(kRoot + "tables/h100_sxm5_" + name + ".json"), name);
}
DataTable raw(const std::string& file, const std::string& table) {
    const auto root = ConfigNode::load(kRoot + "measured/h100_sxm5_" + file + ".json");
    return read_data_table(root.at("tables").at(table), table);
}

// A row as text: the named columns, numbers to six digits.
std::string key(const DataTable& table, std::size_t row, const std::vector<std::string>& columns) {
    std::string text;
    for (const std::string& c : columns) {
        const std::size_t i = table.column(c);
        char number[32];
        std::snprintf(number, sizeof number, "%.6g", table.numbers[row][i]);
        text += (std::isnan(table.numbers[row][i]) ? table.texts[row][i] : number) + "|";
    }
    return text;
}

void expect_contained(const DataTable& table, const std::vector<DataTable>& sources,
                      const std::vector<std::string>& columns) {
    std::set<std::string> known;
    for (const DataTable& source : sources) {
        for (std::size_t i = 0; i < source.rows(); ++i) known.insert(key(source, i, columns));
    }
    for (std::size_t i = 0; i < table.rows(); ++i) {
        EXPECT_TRUE(known.contains(key(table, i, columns))) << key(table, i, columns);
    }
}

TEST(MeasuredTables, AreRowsOfTheMeasurements) {
    expect_contained(used("gemm_grid"), {raw("gemm_grid", "gemm_grid")},
                     {"precision", "m", "n", "k", "sm", "time_us"});
    expect_contained(used("gemm_training"), {raw("training_gemm", "gemm")},
                     {"precision", "accumulate", "m", "n", "k", "sm", "time_us"});
    expect_contained(used("memory"), {raw("memory", "memory"), raw("memory", "memory_sizes")},
                     {"kind", "rows", "columns", "bytes", "time_us"});
    EXPECT_EQ(used("gemm_grid").rows(), raw("gemm_grid", "gemm_grid").rows());
}

TEST(MeasuredTables, SustainedTimesAreRowsOfTheMeasurements) {
    const DataTable table = used("sustained"), measured = raw("sustained", "sustained");
    const std::vector<std::string> columns = {"load", "operator", "m", "n", "k", "sm", "time_us"};
    std::set<std::string> known;
    for (std::size_t i = 0; i < measured.rows(); ++i) known.insert(key(measured, i, columns));
    std::size_t others = 0;
    for (std::size_t i = 0; i < table.rows(); ++i) {
        others += !known.contains(key(table, i, columns));
        EXPECT_EQ(table.text(i, "load", "").find("beside"), std::string::npos) << "validation";
    }
    EXPECT_EQ(others, 2U);  // of attention
}

TEST(MeasuredTables, ContentionIsTheMeasuredSurface) {
    const DataTable table = used("contention"), surface = raw("contention", "contention_surface");
    const std::vector<std::string> columns = {"class", "communication_sms", "communication_GBps",
                                              "slowdown"};
    std::set<std::string> known;
    for (std::size_t i = 0; i < surface.rows(); ++i) known.insert(key(surface, i, columns));
    for (std::size_t i = 0; i < table.rows(); ++i) {
        if (table.text(i, "class", "") == "attention") continue;  // over the same SMs idle
        EXPECT_TRUE(known.contains(key(table, i, columns))) << key(table, i, columns);
    }
}

// cuDNN, 128 heads, 192 / 128, 4096 tokens: the operator and its two helper kernels together are
// the measured call.
TEST(MeasuredTables, AttentionAndItsHelpersAddUpToTheCall) {
    const OperatorTimeModel model(load_accelerator("h100_sxm5", kRoot));
    const Attention backward{AttentionPass::backward, 1, 4096, 4096, 128, 128, 192, 128, true};
    const double rows = 4096.0 * 128, values = rows * 128, queries = rows * 192;
    const MemoryOp before{MemoryOpKind::attention_preprocess, 4096 * 128, 128,
                          Bytes(4 * values + 4 * rows), Bytes(8 * rows + 4 * queries)};
    const MemoryOp after{MemoryOpKind::attention_postprocess, 4096 * 128, 192, Bytes(4 * queries),
                         Bytes(2 * queries)};
    const DataTable calls = raw("attention", "attention");
    double call = 0;
    for (std::size_t i = 0; i < calls.rows() && call == 0; ++i) {
        const bool same =
            calls.text(i, "pass", "") == "backward" && calls.number(i, "query_length", 0) == 4096 &&
            calls.number(i, "query_heads", 0) == 128 && calls.text(i, "note", "x").empty() &&
            calls.text(i, "library", "").starts_with("cuDNN");
        if (same) call = calls.number(i, "time_us", 0);
    }
    const auto us = [&](const auto& shape) {
        return model.time({"attention", shape}, {}).time.value() * 1e6;
    };
    EXPECT_NEAR(us(backward) + us(before) + us(after), call, 0.1);
    // On 112 SMs: measured 1.12 times, not 132/112.
    const double limited = model.time({"attention", backward}, {112}).time.value() * 1e6;
    EXPECT_NEAR(limited / us(backward), 1.12, 0.01);
}

}  // namespace
}  // namespace orrery
