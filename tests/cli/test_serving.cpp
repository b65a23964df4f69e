// orrery model --serve and orrery claims as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "process.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

const std::string kModel = "scenarios/models/deepseek_v3.json";

}  // namespace

TEST(Serve, SaysWhatFits) {
    const ProcessResult result = run_orrery({"model", kModel, "--serve"});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    EXPECT_THAT(result.out, HasSubstr("70272 B per token in BF16, 9.211 GB for 131,072 tokens"));
    const ConfigNode json = json_of({"model", kModel, "--serve", "--context", "1000"});
    EXPECT_EQ(json.at("context").as_integer(), 1000);
    EXPECT_EQ(json.at("rows").elements().size(), 4u);
    EXPECT_EQ(json.at("rows").at(std::size_t{3}).at("least_nodes").as_integer(), 1);
}

TEST(Serve, RefusesBadInput) {
    expect_refused({"model", kModel, "--serve", "--context", "0"},
                   "--context 0: must be from 1 to 1000000000 tokens");
    expect_refused({"model", kModel, "--serve", "--cluster", "none"}, "none");
}

TEST(Claims, AreListedAndPrinted) {
    const ProcessResult list = run_orrery({"claims"});
    EXPECT_EQ(list.exit_code, 0) << list.error;
    EXPECT_THAT(list.out, HasSubstr("eplb"));
    const ConfigNode json = json_of({"claims", "tpot"});
    const ConfigNode first = json.at(std::size_t{0});
    EXPECT_EQ(first.at("name").as_string(), "tpot");
    EXPECT_NEAR(first.at("rows").at(std::size_t{0}).at(std::size_t{2}).as_number(), 14.757e-3,
                1e-6);
}

// What the published day says itself, and what is worked out from it, are told apart; help names
// every claim.
TEST(Claims, SayWhatIsDerivedAndWhatThereIs) {
    const ProcessResult day = run_orrery({"claims", "day"});
    EXPECT_THAT(day.out, HasSubstr("95.5, derived"));
    EXPECT_THAT(day.out, HasSubstr("131.4, derived"));
    EXPECT_EQ(day.error, "");  // progress is for terminals
    EXPECT_THAT(run_orrery({"claims", "--help"}).out,
                HasSubstr("overlap, eplb, mtp, tpot, latency, memory, nodes, sparse, day, or all"));
}

TEST(Claims, RefuseOthers) {
    expect_refused({"claims", "speed"}, "claims speed: must be one of: overlap, eplb");
    expect_refused({"claims", "day", "--cases", "none"}, "none");
}

}  // namespace orrery
