// orrery topology and orrery collective (as flows) as a user runs them.
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "process.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

std::vector<std::string> all_to_all(std::vector<std::string> rest) {
    std::vector<std::string> arguments = {"collective",      "all_to_all", "--cluster",
                                          "crossbar_50GBps", "--bytes",    "15 MB"};
    arguments.insert(arguments.end(), rest.begin(), rest.end());
    return arguments;
}

}  // namespace

TEST(TopologyCommand, PrintsCountsAndCostBesideThePublished) {
    const ConfigNode ft2 = json_of({"topology", "ft2"});
    EXPECT_EQ(ft2.at("switches").as_integer(), ft2.at("published").at("switches").as_integer());
    EXPECT_DOUBLE_EQ(ft2.at("bisection").as_number(), 1024 * 50e9);
    const double cost = ft2.at("cost").at("total").as_number();
    EXPECT_DOUBLE_EQ(ft2.at("published").at("cost_error").as_number(), cost / 9e6 - 1);
    EXPECT_THAT(run_orrery({"topology", "slim_fly"}).out, HasSubstr("no power of a prime"));
}

// What tools print of one machine, and a graph of one's own: two hosts on one switch.
TEST(TopologyCommand, ReadsFiles) {
    const std::string data = ORRERY_SOURCE_DIR "/tests/unit/network/data/";
    EXPECT_EQ(json_of({"topology", data + "dgx_h100_topo_m.txt"}).at("endpoints").as_integer(), 4);
    EXPECT_EQ(json_of({"topology", data + "two_gpus_nccl.xml"}).at("endpoints").as_integer(), 2);
    const ConfigNode own = json_of({"topology", data + "two_hosts.json"});
    EXPECT_EQ(own.at("switches").as_integer(), 1);
    EXPECT_DOUBLE_EQ(own.at("bisection").as_number(), 25e9);
    expect_refused({"topology", data + "disconnected.json"}, "b and c are disconnected");
    expect_refused({"topology", data + "nothing.txt"}, "nothing.txt");
}

TEST(TopologyCommand, RebuildsAClusterForAnotherSize) {
    const ConfigNode small =
        json_of({"topology", "--cluster", "h800_mpft", "--set", "cluster.nodes=64"});
    EXPECT_EQ(small.at("endpoints").as_integer(), 512);
    expect_refused({"topology", "--cluster", "h800_mpft", "--set", "cluster.nodes=3000"},
                   "takes at most 2048");
    expect_refused({"topology", "torus"}, "must be one of: ft2");
    expect_refused({"topology"}, "must have either a name or --cluster");
    expect_refused({"topology", "--cluster", "h800_mpft", "--set", "plan.pp=2"}, "cluster.KEY");
}

// 16 ranks send 15 MB each at 50 GB/s: 300 us, and 1 us of latency, 15 us with 15 rounds.
TEST(CollectiveCommand, AllToAllPatterns) {
    const ConfigNode once = json_of(all_to_all({"--ranks", "16"}));
    EXPECT_NEAR(once.at("time").as_number(), 301e-6, 1e-11);
    EXPECT_EQ(once.at("flows").as_integer(), 240);
    EXPECT_EQ(once.at("solves").as_integer(), 1);
    EXPECT_NEAR(once.at("bandwidth").as_number(), 15e6 / 301e-6, 1e3);
    const ConfigNode shifted = json_of(all_to_all({"--ranks", "16", "--pattern", "shifted"}));
    EXPECT_NEAR(shifted.at("time").as_number(), 315e-6, 1e-11);
    const auto unequal = all_to_all({"--ranks", "16", "--pattern", "unequal", "--seed", "3"});
    EXPECT_GT(json_of(unequal).at("time").as_number(), 302e-6);
    EXPECT_EQ(run_orrery(unequal).out, run_orrery(unequal).out);
}

// Eight H200: NCCL takes ring LL128 for 4 MiB (measured 46.08 us), and says so.
TEST(CollectiveCommand, SaysWhatNcclChooses) {
    const std::vector<std::string> four_mib = {"collective", "all_reduce", "--cluster", "h200_8",
                                               "--ranks",    "8",          "--bytes",   "4 MiB"};
    const ConfigNode answer = json_of(four_mib);
    EXPECT_EQ(answer.at("algorithm").as_string(), "ring");
    EXPECT_EQ(answer.at("protocol").as_string(), "LL128");
    EXPECT_NEAR(answer.at("time").as_number(), 46.1e-6, 0.3e-6);
    EXPECT_EQ(answer.at("flows").as_integer(), 1);
    EXPECT_EQ(answer.at("nccl_estimates").elements().size(), 6u);
    const auto with = [&](std::vector<std::string> rest) {
        rest.insert(rest.begin(), four_mib.begin(), four_mib.end());
        return rest;
    };
    EXPECT_EQ(json_of(with({"--protocol", "Simple"})).at("protocol").as_string(), "Simple");
    EXPECT_EQ(json_of(with({"--algorithm", "nvls"})).at("algorithm").as_string(), "nvls");
    EXPECT_EQ(json_of(with({"--expand", "messages"})).at("protocol").as_string(), "none");
    const std::string text = run_orrery(four_mib).out;
    EXPECT_THAT(text, HasSubstr("chosen as NCCL 2.28 does"));
    EXPECT_THAT(text, HasSubstr("bus bandwidth "));
    EXPECT_THAT(text, HasSubstr("time = (launch and steps "));
    expect_refused(with({"--algorithm", "hierarchical"}), "several nodes");
    expect_refused({"collective", "all_reduce", "--cluster", "crossbar_50GBps", "--ranks", "4",
                    "--bytes", "1 MB", "--protocol", "LL"},
                   "crossbar_50GBps here has links only");
}

// The parts shown add up to the time, whatever the algorithm and however many nodes.
TEST(CollectiveCommand, PartsAddUp) {
    for (const auto& [kind, cluster, ranks] :
         {std::tuple("all_reduce", "h200_8", "8"), std::tuple("all_to_all", "h200_8", "8"),
          std::tuple("send_recv", "h200_8", "4"), std::tuple("all_reduce", "h800_mpft", "64"),
          std::tuple("all_to_all", "h800_mpft", "64"),
          std::tuple("all_gather", "h800_mpft", "64")}) {
        const ConfigNode json = json_of(
            {"collective", kind, "--cluster", cluster, "--ranks", ranks, "--bytes", "3 MB"});
        const auto at = [&](const char* key) { return json.at(key).as_number(); };
        const double sum = (at("fixed") + at("bytes_time") + at("local")) * at("correction");
        EXPECT_NEAR(sum, at("time"), 1e-9 * at("time") + 1e-12) << kind << " " << cluster;
    }
}

TEST(CollectiveCommand, BadRequestsAreOneLine) {
    expect_refused(all_to_all({"--ranks", "2000"}), "--ranks 2000: must be from 2 to");
    expect_refused(all_to_all({"--set", "cluster.nodez=3"}), "nodez");
    expect_refused({"collective", "all_reduce", "--cluster", "crossbar_50GBps", "--ranks", "6",
                    "--bytes", "1 MB", "--algorithm", "recursive_doubling"},
                   "power of two");
    expect_refused({"collective", "send_recv", "--cluster", "crossbar_50GBps", "--bytes", "1 kg"},
                   "--bytes 1 kg");
    expect_refused({"collective", "send_recv", "--cluster", "nowhere", "--bytes", "1 MB"},
                   "is not a profile");
}

}  // namespace orrery
