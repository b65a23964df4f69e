#include "calibrate/profile_writer.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "core/error.hpp"
#include "hardware/operator_time.hpp"

namespace orrery::calibrate {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string text_of(const fs::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

// A directory that goes with the test.
class Writing : public testing::Test {
  protected:
    Writing() { fs::create_directories(dir_); }
    ~Writing() override { fs::remove_all(dir_); }
    std::string error_of(const Results& results) const {
        try {
            write_profile(results, file_);
        } catch (const InputError& e) {
            return e.what();
        }
        return "written";
    }
    fs::path dir_ =
        fs::temp_directory_path() / (std::string("orrery_writer_") +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::path file_ = dir_ / "my_gpu.json";
};

Heading heading(const std::string& device) {
    return {{"device", device}, {"date", "2026-11-22"}, {"driver", "580"},
            {"cuda", "13.0"},   {"library", "lib 1"},   {"commit", "abc"}};
}
constexpr const char* kH100 = "NVIDIA H100 80GB HBM3 (132 SMs, 700 W)";

Row gemm_row(const char* output, double accumulate, double m, double sm, double time) {
    return {std::string("bf16"),
            std::string(output),
            accumulate,
            m,
            4096.0,
            4096.0,
            sm,
            std::string("burst"),
            time,
            20.0,
            0.01,
            1980.0};
}
Table gemms() {
    return {"gemm",
            {"precision", "output", "accumulate", "m", "n", "k", "sm", "clock", "time_us",
             "n_samples", "spread", "clock_MHz"},
            8,
            {gemm_row("bf16", 0, 1024, 132, 60), gemm_row("fp32", 0, 1024, 132, 61),
             gemm_row("fp32", 1, 1024, 132, 70), gemm_row("bf16", 0, 1024, 112, 71)}};
}
Row memory_row(const char* kind, double rows, double columns, const char* cache, double bytes,
               double time) {
    return {std::string(kind),
            rows,
            columns,
            std::string(cache),
            std::string("burst"),
            bytes,
            time,
            12.0,
            0.005,
            1975.0};
}
Table memories() {
    return {"memory_sizes",
            {"kind", "rows", "columns", "cache", "clock", "bytes", "time_us", "n_samples", "spread",
             "clock_MHz"},
            5,
            {memory_row("copy", 4096, 7168, "rotating", 120e6, 50),
             memory_row("copy", 40960, 7168, "rotating", 1200e6, 400),
             memory_row("copy", 40960, 7168, "flushed", 1200e6, 390),
             memory_row("copy", 16, 128, "rotating", 8192, 1.5),
             memory_row("add", 16, 128, "rotating", 12288, 1.7)}};
}
Table gaps() {
    return {"launch_gap",
            {"loop", "kernels", "gap_us", "n_samples", "spread"},
            1,
            {{std::string("memory-bound kernels"), 6.0, 1.1, 200.0, 0.01},
             {std::string("memory-bound kernels and FP8 GEMMs in turn"), 6.0, 1.25, 120.0, 0.02}}};
}
Row beside(const char* kind, double sms, double rate, double slowdown) {
    return {std::string("memory"), std::string(kind), 132.0, sms, rate, slowdown};
}
Table contentions() {
    return {"contention",
            {"class", "operator", "sm", "communication_sms", "communication_GBps_set", "slowdown"},
            5,
            {beside("copy", 20, 0, 1.0), beside("add", 20, 0, 1.01), beside("rope", 20, 0, 1.3),
             beside("copy", 24, 0, 1.03), beside("add", 24, 0, 1.05), beside("rope", 24, 0, 1.4),
             beside("copy", 24, 100, 1.2)}};
}
Results everything(const std::string& device = kH100) {
    return results_of(heading(device), {gemms(), memories(), gaps(), contentions()}, "my.json");
}

// The largest copy: 1,200 MB in 400 us = 3,000 GB/s. The floor: median of 1.5 and 1.7 us. The gap
// in turn with GEMMs: 1.25 us. Beside 20 CTAs the median kind is 1.01, beside 24 it is 1.05 times
// slower: 132 - 20 = 112 SMs saturate the memory.
TEST_F(Writing, NumbersComeFromTheirTables) {
    write_profile(everything(), file_);
    const AcceleratorProfile p = load_accelerator(file_.string(), dir_);
    EXPECT_EQ(p.title, "NVIDIA H100 80GB HBM3");
    EXPECT_DOUBLE_EQ(p.copy_bandwidth.value.value(), 3000e9);
    EXPECT_DOUBLE_EQ(p.kernel_floor.value.value(), 1.6e-6);
    EXPECT_DOUBLE_EQ(p.launch_gap.value.value(), 1.18e-6);  // (1.1 + 1.25) / 2, three digits
    EXPECT_EQ(p.saturating_sms.value.value(), 112);
    EXPECT_EQ(p.sms.value.value(), 132);
    for (const Origin origin : {p.copy_bandwidth.from.origin, p.kernel_floor.from.origin,
                                p.launch_gap.from.origin, p.saturating_sms.from.origin})
        EXPECT_EQ(origin, Origin::measured);
    EXPECT_EQ(p.peak_fp8.value.value(), 1979e12);
    EXPECT_EQ(p.peak_fp8.from.origin, Origin::specified);
    EXPECT_THAT(p.copy_bandwidth.from.source, HasSubstr("n 12, spread 0.50 %, 1975 MHz"));
    EXPECT_THAT(p.copy_bandwidth.from.source, HasSubstr("driver 580, CUDA 13.0, 2026-11-22"));
}

// FP32 results that are not accumulated are no price; the flushed copy is another cache.
TEST_F(Writing, TablesHoldTheRowsThatPricesNeed) {
    write_profile(everything(), file_);
    const OperatorTimeModel model(load_accelerator(file_.string(), dir_));
    const auto us = [&](const Gemm& g, std::int64_t sms) {
        return model.time({"gemm", g}, {sms}).time.value() * 1e6;
    };
    EXPECT_NEAR(us({1024, 4096, 4096, Precision::bf16, false}, 0), 60, 1e-9);
    EXPECT_NEAR(us({1024, 4096, 4096, Precision::bf16, true}, 0), 70, 1e-9);
    EXPECT_NEAR(us({1024, 4096, 4096, Precision::bf16, false}, 112), 71, 1e-9);
    const auto* memory = model.profile().find_table("memory");
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(memory->rows(), 4u);
    EXPECT_EQ(memory->number(1, "n_samples", 0), 12);
    const auto* constants = model.profile().find_table("gemm_model");
    ASSERT_NE(constants, nullptr);
    EXPECT_EQ(constants->from.origin, Origin::derived);
    EXPECT_EQ(constants->number(0, "rows", 0), 1);  // on all SMs, BF16 results
}

// Backward: 100 us, of it 10 for dO.O and 12 for dQ to BF16; two heads of 192/128, 1,024 tokens.
// 2,048 rows: dO.O reads 2 x 2 x 128 bytes a row, writes 12 and clears 4 x 192.
TEST_F(Writing, AttentionsHelpersAreOperatorsOfTheirOwn) {
    Table calls{"attention",
                {"library", "pass", "sequences", "query_length", "key_length", "query_heads",
                 "key_heads", "query_key_dim", "value_dim", "causal", "time_us", "n_samples",
                 "spread", "clock_MHz", "kernels_per_call", "note"},
                10,
                {}};
    const auto call = [](const char* library, double time) {
        return Row{std::string(library),
                   std::string("backward"),
                   1.0,
                   1024.0,
                   1024.0,
                   2.0,
                   2.0,
                   192.0,
                   128.0,
                   1.0,
                   time,
                   15.0,
                   0.01,
                   1980.0,
                   3.0,
                   std::string()};
    };
    calls.rows = {call("cuDNN 91900", 100), call("FlashAttention-2", 200)};
    Table kernels{"attention_kernels",
                  {"library", "pass", "query_length", "query_heads", "key_heads", "query_key_dim",
                   "value_dim", "note", "kernel", "time_us"},
                  9,
                  {}};
    for (const auto& [name, time] :
         {std::pair{"x_dot_do_o_y", 10.0}, {"main", 78.0}, {"x_convert_dq_y", 12.0}})
        kernels.rows.push_back({std::string("cuDNN 91900"), std::string("backward"), 1024.0, 2.0,
                                2.0, 192.0, 128.0, std::string(), std::string(name), time});
    Results results = everything();
    merge(results, results_of(heading(kH100), {calls, kernels}, "attention.json"));
    write_profile(results, file_);
    const AcceleratorProfile p = load_accelerator(file_.string(), dir_);
    ASSERT_EQ(p.find_table("attention")->rows(), 1u);
    EXPECT_EQ(p.find_table("attention")->number(0, "time_us", 0), 78);
    const DataTable& helpers = *p.find_tables("memory")[0];
    ASSERT_EQ(helpers.rows(), 2u);
    EXPECT_EQ(helpers.text(0, "kind", ""), "attention_preprocess");
    EXPECT_EQ(helpers.number(0, "bytes", 0), 2048 * (512 + 12 + 768));
    EXPECT_EQ(helpers.number(1, "time_us", 0), 12);
}

TEST_F(Writing, WhatAPersonAddedStays) {
    write_profile(everything(), file_);
    std::string text = text_of(file_);
    const std::string mark = "\"grouped_gemm\"";
    ASSERT_EQ(text.find(mark), std::string::npos);
    const std::string own =
        R"("grouped_gemm": [{"origin": "published", "source": "somebody",
           "columns": ["layout", "precision", "groups", "rows_per_group", "n", "k", "TFLOPS"],
           "rows": [["masked", "bf16", 4, 256, 4096, 7168, 500]]}], )";
    text.insert(text.find("\"gemm\""), own);
    std::ofstream(file_) << text;
    Results again = everything();
    again.tables[0].table.rows[0].at(8) = 50.0;  // the first GEMM, faster
    write_profile(again, file_);
    const OperatorTimeModel model(load_accelerator(file_.string(), dir_));
    ASSERT_NE(model.profile().find_table("grouped_gemm"), nullptr);
    EXPECT_EQ(model.profile().find_tables("gemm").size(), 1u);  // replaced, not added
    EXPECT_NEAR(
        model.time({"gemm", Gemm{1024, 4096, 4096, Precision::bf16, false}}, {}).time.value(),
        50e-6, 1e-12);
    // Writing once more changes nothing.
    const std::string before = text_of(file_);
    write_profile(again, file_);
    EXPECT_EQ(text_of(file_), before);
}

TEST_F(Writing, NothingIsWrittenWhereANumberIsMissing) {
    Results some = results_of(heading(kH100), {gemms(), memories()}, "my.json");
    EXPECT_THAT(error_of(some), HasSubstr("no profile without launch_gap (family launch_gap), "
                                          "saturating_sms (family contention)"));
    EXPECT_FALSE(fs::exists(file_));
    // Peaks of a device without a data sheet need what the driver says.
    EXPECT_THAT(error_of(everything("NVIDIA X1 (10 SMs, 100 W)")), HasSubstr("peak_bf16"));
    EXPECT_FALSE(fs::exists(file_));
}

// A shipped profile is what its measurements give: written again, it is the same text.
TEST(ShippedProfiles, AreWhatTheirMeasurementsGive) {
    const fs::path root(ORRERY_SOURCE_DIR);
    const std::string head = "Written by orrery-calibrate from ";
    int written = 0;
    for (const auto& entry : fs::directory_iterator(root / "hw_profiles/accelerators")) {
        const auto about = ConfigNode::load(entry.path()).find("about");
        if (!about || !about->as_string().starts_with(head)) continue;
        std::string files = about->as_string().substr(head.size());
        files = files.substr(0, files.find(". Last run")) + ", ";
        Results all;
        for (std::size_t i = 0, end; (end = files.find(", ", i)) != std::string::npos; i = end + 2)
            merge(all, read_results(files.substr(i, end - i)));
        EXPECT_TRUE(profile_json(all, entry.path()) == text_of(entry.path()))
            << entry.path() << ": write it again: orrery-calibrate --from " << files << " --out";
        ++written;
    }
    EXPECT_GE(written, 1);
}

}  // namespace
}  // namespace orrery::calibrate
