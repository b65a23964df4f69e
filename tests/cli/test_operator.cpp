// orrery operator and orrery profile as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "process.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

const std::vector<std::string> kShape = {"--m", "4096", "--n", "7168", "--k", "16384"};

std::vector<std::string> gemm(std::vector<std::string> rest) {
    std::vector<std::string> arguments = {"operator", "gemm", "--profile", "h100_sxm5"};
    arguments.insert(arguments.end(), kShape.begin(), kShape.end());
    arguments.insert(arguments.end(), rest.begin(), rest.end());
    return arguments;
}

// The committed report is what the command prints from the committed measurements.
TEST(OperatorCommand, HeldOutReportIsWhatIsPrinted) {
    const std::string root = ORRERY_SOURCE_DIR;
    const ProcessResult result =
        run_orrery({"operator", "check", "--profile", "h100_sxm5", "--held-out",
                    root + "/hw_profiles/held_out/h100_sxm5.json"});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    EXPECT_EQ(result.out, read_text(root + "/reports/held_out_h100_sxm5.md"));
}

TEST(OperatorCommand, HeldOutFileMustExist) {
    expect_refused(
        {"operator", "check", "--profile", "h100_sxm5", "--held-out", "no_such_file.json"},
        "no_such_file.json");
}

}  // namespace

// Rows of the measured table: 726.382 us, 771.183 us on 112 SMs, 1182.73 us in BF16.
TEST(OperatorCommand, PrintsMeasuredGemms) {
    const ConfigNode block = json_of(gemm({"--precision", "fp8_block"}));
    EXPECT_NEAR(block.at("time").as_number(), 726.382e-6, 1e-12);
    EXPECT_EQ(block.at("origin").as_string(), "measured");
    EXPECT_EQ(block.at("spread").as_number(), 0);
    EXPECT_NEAR(json_of(gemm({"--precision", "fp8_block", "--sm", "112"})).at("time").as_number(),
                771.183e-6, 1e-12);
    const double burst = json_of(gemm({"--precision", "bf16"})).at("time").as_number();
    EXPECT_NEAR(burst, 1182.73e-6, 1e-12);
    const ConfigNode steady = json_of(gemm({"--precision", "bf16", "--clock", "sustained"}));
    EXPECT_GT(steady.at("time").as_number(), 1.05 * burst);
}

TEST(OperatorCommand, PricesTheOtherKinds) {
    const auto seconds = [](const std::vector<std::string>& arguments) {
        return json_of(arguments).at("time").as_number();
    };
    // DeepGEMM's contiguous row: 1346 TFLOP/s.
    EXPECT_NEAR(seconds({"operator", "grouped_gemm", "--precision", "fp8_block", "--groups", "4",
                         "--rows", "32768", "--n", "4096", "--k", "7168"}),
                2.0 * 32768 * 4096 * 7168 / 1346e12, 1e-9);
    EXPECT_GT(seconds({"operator", "attention", "--length", "4096", "--heads", "128", "--dim",
                       "192", "--value-dim", "128"}),
              2.0 * 4096 * 4096 / 2 * 128 * 320 / 989e12);
    EXPECT_GT(seconds({"operator", "memory", "--kind", "rms_norm", "--rows", "4096", "--columns",
                       "7168"}),
              4.0 * 4096 * 7168 / 3.35e12);
    // DeepEP's EP32 row: 58 GB/s for 3.614 pairs of 7392 B a token, and the links' latencies.
    EXPECT_NEAR(seconds({"operator", "expert_dispatch", "--ranks", "32"}), 1.894e-3, 2e-6);
    EXPECT_GT(seconds({"operator", "all_reduce", "--cluster", "h100_8", "--ranks", "8", "--bytes",
                       "1 GB"}),
              2e9 * 7 / 8 / 450e9);
}

TEST(OperatorCommand, RefusesInOneLine) {
    expect_refused(gemm({"--precision", "fp4"}), "--precision = \"fp4\": must be bf16");
    expect_refused(gemm({"--precision", "bf16", "--sm", "200"}), "sms = 200: must be 1 to 132");
    expect_refused({"operator", "gemm", "--precision", "bf16", "--m", "0", "--n", "1", "--k", "1"},
                   "--m");
    expect_refused({"operator", "memory", "--kind", "magic", "--rows", "1", "--columns", "1"},
                   "--kind magic: must be one of: rms_norm");
    expect_refused({"operator", "all_gather", "--ranks", "8", "--bytes", "1 GHz"}, "--bytes 1 GHz");
    expect_refused({"operator", "expert_dispatch", "--ranks", "4096"}, "512 nodes needed");
    expect_refused({"profile", "a100"}, "profile a100: must be one of: a100_sxm4");
}

TEST(OperatorCommand, ChecksItsTables) {
    const ConfigNode check = json_of({"operator", "check", "--profile", "h100_sxm5"});
    std::size_t gemm_points = 0;
    for (const ConfigNode& table : check.at("tables").elements()) {
        if (!table.at("table").as_string().starts_with("gemm ")) continue;
        gemm_points += static_cast<std::size_t>(table.at("points").as_integer());
        const bool fewer = table.at("table").as_string().ends_with("fewer SMs");
        EXPECT_LE(table.at("p95").as_number(), fewer ? 0.22 : 0.12)
            << table.at("table").as_string();
    }
    EXPECT_GE(gemm_points, 270U);
    EXPECT_EQ(check.at("cross_check").size(), 18U);
}

TEST(ProfileCommand, ShowsWhereNumbersComeFrom) {
    const ConfigNode profile = json_of({"profile", "h800_ib_2048"});
    EXPECT_EQ(profile.at("accelerator").as_string(), "h800_sxm5");
    bool price = false;
    for (const ConfigNode& entry : profile.at("entries").elements()) {
        EXPECT_FALSE(entry.at("source").as_string().empty());
        price |= entry.at("name").as_string() == "price_per_gpu_hour" &&
                 entry.at("origin").as_string() == "published";
    }
    EXPECT_TRUE(price);
    EXPECT_THAT(run_orrery({"profile", "list"}).out, HasSubstr("h800_ib_2048"));
}

}  // namespace orrery
