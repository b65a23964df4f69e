// Multi-plane and multi-rail fat tree: "near identical" in NCCL's all-to-all on 16 to 128 GPUs
// (arXiv:2505.09343v2 figures 5 and 6), and what a failed plane takes from it.

#include <gtest/gtest.h>

#include "collective/flow_collective.hpp"
#include "hardware/cluster_profile.hpp"
#include "network/cluster_topology.hpp"

namespace orrery {
namespace {

double all_to_all(const char* cluster, std::uint32_t ranks,
                  const std::vector<std::string>& sets = {}) {
    RoutedNetwork network(
        cluster_topology(load_cluster(cluster, "hw_profiles", profile_changes(sets))),
        Routing::adaptive);
    FlowCollectiveRequest request;
    request.ranks = ranks;
    request.ranks_per_node = 8;
    request.bytes = Bytes(256e6);
    return run_collective(network, request).bandwidth.value();
}

// All nodes lie under one leaf switch of a plane, or of a rail: the same cables carry the same.
TEST(TwoFabrics, AllToAllIsTheSameOnPlanesAndRails) {
    for (const std::uint32_t ranks : {16U, 32U, 64U, 128U}) {
        EXPECT_NEAR(all_to_all("h800_mpft", ranks), all_to_all("h800_mrft", ranks),
                    0.01 * all_to_all("h800_mrft", ranks))
            << ranks;
    }
}

// Seven NICs of eight are left, and NVLink carries the failed one's bytes: at least 1/8 of what is
// bound by NICs is lost, at most as much again to uneven paths.
TEST(TwoFabrics, AFailedPlaneTakesItsShareOfAllToAll) {
    std::string fail = "fabric.fail=[";
    for (int leaf = 0; leaf < 8; ++leaf) {
        fail += (leaf > 0 ? ", " : "") + ("\"plane3.leaf" + std::to_string(leaf) + "\"");
    }
    const double whole = all_to_all("h800_mpft", 128),
                 failed = all_to_all("h800_mpft", 128, {fail + "]"});
    EXPECT_LT(failed, whole * 7.0 / 8 * 1.01);
    EXPECT_GT(failed, whole * 6.0 / 8);
}

}  // namespace
}  // namespace orrery
