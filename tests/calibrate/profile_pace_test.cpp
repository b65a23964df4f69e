#include <cmath>
#include <tuple>

#include <gtest/gtest.h>

#include "calibrate/profile_tables.hpp"

namespace orrery::calibrate {
namespace {

const std::vector<std::string> kColumns = {
    "gpu",       "load",   "seconds",   "class",   "operator",     "precision",
    "m",         "n",      "k",         "sm",      "time_us",      "burst_us",
    "n_samples", "spread", "clock_MHz", "power_W", "temperature_C"};

Row kernel(const std::string& gpu, const std::string& load, double seconds,
           const std::string& op_class, double time) {
    return {gpu,   load, seconds,     op_class, op_class, std::string(), 128.0, 128.0, 128.0,
            132.0, time, time / 1.25, 20.0,     0.01,     1600.0,        690.0, 50.0};
}

Row moves(const std::string& gpu, const std::string& load, double seconds,
          const std::string& kernels, double deviation) {
    return {gpu, load, seconds, kernels, 8.0, 100.0, deviation, 0.97, 1.03, 1.04, 1.05};
}

// Two GPUs. GEMMs take 90 and 110 us warm, memory kernels 25 both; briefly 80 and 100, where the
// profile's own GPU takes 100 and 25.
Results measured() {
    Results r;
    Table gpus{"between_gpus", kColumns, 10, {}};
    for (const auto& [gpu, brief, warm] : {std::tuple{"a", 80.0, 90.0}, {"b", 100.0, 110.0}}) {
        gpus.rows.push_back(kernel(gpu, "layer_mix", 4.5, "gemm", brief));
        gpus.rows.push_back(kernel(gpu, "layer_mix", 4.5, "memory", 25));
        gpus.rows.push_back(kernel(gpu, "layer_mix", 15, "gemm", warm));
        gpus.rows.push_back(kernel(gpu, "layer_mix", 15, "memory", 25));
        gpus.rows.push_back(kernel(gpu, "decode_mix", 6, "gemm", brief));
    }
    Table jitter{"jitter",
                 {"gpu", "load", "seconds", "kernels", "window_ms", "windows", "deviation", "p5",
                  "p95", "p99", "largest"},
                 5,
                 {}};
    for (const char* gpu : {"a", "b"}) {
        const double more = gpu[0] == 'a' ? 0 : 0.02;
        jitter.rows.push_back(moves(gpu, "layer_mix", 15, "compute-bound", 0.02 + more));
        jitter.rows.push_back(
            moves(gpu, "layer_mix", 4.5, "compute-bound", 0.5));  // not the longest
        jitter.rows.push_back(moves(gpu, "layer_mix", 15, "memory-bound", 0.01));
        jitter.rows.push_back(moves(gpu, "decode_mix", 6, "compute-bound", 0.005));
    }
    Table own{
        "sustained",
        {"load", "class", "operator", "precision", "m", "n", "k", "sm", "time_us", "burst_us"},
        8,
        {}};
    for (const auto& [name, time] : {std::pair{"gemm", 100.0}, {"memory", 25.0}}) {
        own.rows.push_back({std::string("layer_mix"), std::string(name), std::string(name),
                            std::string(), 128.0, 128.0, 128.0, 132.0, time, time});
    }
    for (const Table& t : {gpus, jitter, own}) r.tables.push_back({t, "test", "test.json"});
    return r;
}

double cell(const Table& t, std::size_t row, const std::string& column) {
    return TableView(t).number(row, column);
}

TEST(PaceTable, MeansAndDeviationsOfTwoGpus) {
    std::vector<ProfileTable> tables;
    add_pace_tables(measured(), tables);
    ASSERT_EQ(tables.size(), 1u);
    const Table& t = tables[0].table;
    ASSERT_EQ(t.rows.size(), 6u);
    // compute-bound: (80 + 100) / 2 over 100; 90 and 110 lie 14.142 % of 100 apart (n - 1).
    EXPECT_NEAR(cell(t, 0, "mean"), 0.9, 1e-4);
    EXPECT_NEAR(cell(t, 0, "between_gpus"), 0.14142, 1e-4);
    EXPECT_NEAR(cell(t, 0, "from_moment_to_moment"), 0.03, 1e-9);  // median of 2 and 4 %
    EXPECT_NEAR(cell(t, 0, "deviation"), std::hypot(0.14142, 0.03), 1e-4);
    EXPECT_EQ(cell(t, 0, "gpus"), 2);
    // memory-bound: alike.
    EXPECT_NEAR(cell(t, 1, "mean"), 1, 1e-9);
    EXPECT_NEAR(cell(t, 1, "deviation"), 0.01, 1e-9);
    // all: 105 and 125 over 125 briefly; 115 and 135 warm; memory is 50 of 250 us.
    EXPECT_NEAR(cell(t, 2, "mean"), 0.92, 1e-4);
    EXPECT_NEAR(cell(t, 2, "between_gpus"), 0.11314, 1e-4);
    EXPECT_NEAR(cell(t, 2, "from_moment_to_moment"), std::hypot(0.8 * 0.03, 0.2 * 0.01), 1e-4);
    // decoding has no times of the profile's own GPU to be compared with.
    EXPECT_EQ(cell(t, 3, "mean"), 1);
    EXPECT_NEAR(cell(t, 3, "from_moment_to_moment"), 0.005, 1e-9);
}

TEST(PaceTable, DecodingRowsAreMediansOverGpus) {
    const Table rows = decode_mix_rows(measured());
    ASSERT_EQ(rows.rows.size(), 1u);
    EXPECT_EQ(std::get<double>(rows.rows[0][10]), 90);  // of 80 and 100
    EXPECT_EQ(std::get<double>(rows.rows[0][9]), 72);   // burst
    EXPECT_EQ(std::get<double>(rows.rows[0][11]), 2);   // GPUs
}

TEST(PaceTable, NothingWithoutTheFamily) {
    Results results = measured();
    results.tables.erase(results.tables.begin());
    std::vector<ProfileTable> tables;
    add_pace_tables(results, tables);
    EXPECT_TRUE(tables.empty());
    EXPECT_TRUE(decode_mix_rows(results).rows.empty());
}

}  // namespace
}  // namespace orrery::calibrate
