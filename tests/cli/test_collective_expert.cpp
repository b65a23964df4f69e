// orrery collective expert_dispatch and expert_combine as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "process.hpp"

namespace orrery {
namespace {

ConfigNode collective(const char* kind, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"collective", kind});
    return json_of(arguments);
}

double time_of(std::vector<std::string> arguments) {
    return collective("expert_dispatch", std::move(arguments)).at("time").as_number();
}

void expect_dispatch_refused(std::vector<std::string> arguments, const std::string& message) {
    arguments.insert(arguments.begin(), {"collective", "expert_dispatch"});
    expect_refused(arguments, message);
}

}  // namespace

// DeepEP's EP64: 51 and 50 GB/s; 173 and 314 us.
TEST(ExpertCollective, PrintsTimeAndBandwidth) {
    const ConfigNode dispatch = collective("expert_dispatch", {"--ep", "64", "--mode", "normal"});
    EXPECT_NEAR(dispatch.at("bandwidth").as_number(), 51e9, 0.08 * 51e9);
    EXPECT_EQ(dispatch.at("limit").as_string(), "NIC");
    const ConfigNode combine =
        collective("expert_combine", {"--ep", "64", "--mode", "low_latency", "--tokens", "128"});
    EXPECT_NEAR(combine.at("time").as_number(), 314e-6, 0.08 * 314e-6);
    EXPECT_EQ(combine.at("sms").as_integer(), 0);
    EXPECT_EQ(combine.at("payload_bytes").as_number(), 14336);
}

TEST(ExpertCollective, EverySettingActs) {
    const std::vector<std::string> base = {"--ep", "32", "--tokens", "512"};
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.begin(), base.begin(), base.end());
        return time_of(more);
    };
    const double time = with({});
    EXPECT_GT(with({"--set", "version=2025-02"}), 1.1 * time);
    EXPECT_GT(with({"--set", "cluster.nic_bandwidth=25 GB/s"}), 1.5 * time);
    EXPECT_GT(with({"--sms", "2"}), 1.2 * time);
    EXPECT_LT(with({"--node-limit", "2"}), 0.8 * time);
    EXPECT_GT(with({"--skew", "0.7"}), 1.05 * time);
    EXPECT_LT(with({"--top-k", "2"}), 0.7 * time);
    EXPECT_LT(with({"--hidden", "3584"}), 0.6 * time);
    EXPECT_GT(with({"--ranks-per-node", "4"}), 1.05 * time);
    EXPECT_GT(time_of({"--ep", "8", "--mode", "low_latency", "--set", "version=2025-02"}),
              1.5 * time_of({"--ep", "8", "--mode", "low_latency"}));
}

// EP144 of 256 experts with 32 redundant ones: two slots a rank.
TEST(ExpertCollective, RedundantExpertsFillGroupsThatDoNotDivide) {
    EXPECT_GT(time_of({"--ep", "144", "--mode", "low_latency", "--slots", "288"}), 100e-6);
    expect_dispatch_refused({"--ep", "144", "--mode", "low_latency"},
                            "--ep 144: must divide the 256 experts, or slots for redundant");
}

TEST(ExpertCollective, RefusesWhatCannotBe) {
    expect_dispatch_refused({"--ep", "64", "--mode", "fast"}, "--mode fast");
    expect_dispatch_refused({"--ep", "64", "--set", "version=2024"}, "2025-02");
    expect_dispatch_refused({"--ep", "64", "--set", "versoin=2025-02"}, "--set versoin = ");
    expect_dispatch_refused({"--ep", "64", "--set", "version"}, "key=value");
    expect_dispatch_refused({"--ep", "12"}, "--ep 12: must be a multiple of the 8 a node");
    expect_dispatch_refused({"--ep", "64", "--cluster", "h100_8"},
                            "--ep 64: takes 8 nodes, h100_8 has 1");
    expect_dispatch_refused({"--ep", "64", "--top-k", "200"}, "top_k");
    expect_dispatch_refused({}, "--ep");
}

}  // namespace orrery
