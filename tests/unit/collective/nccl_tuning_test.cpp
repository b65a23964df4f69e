// NCCL's own model: by hand, and against what NCCL itself said of every measured call.
#include "collective/nccl_tuning.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "core/config.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

const std::string kProfiles = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles/";
constexpr auto kReduce = FlowCollective::all_reduce;
constexpr auto kGather = FlowCollective::all_gather;

NcclTuning tuning_of(const std::string& cluster) {
    return *NcclTuning::of(load_cluster(cluster, kProfiles));
}
double us(const std::vector<NcclEstimate>& estimates, FlowAlgorithm algorithm,
          FlowProtocol protocol) {
    for (const NcclEstimate& e : estimates) {
        if (e.algorithm == algorithm && e.protocol == protocol) return 1e6 * e.time.value();
    }
    return NAN;
}

// Eight ranks of a node, 1 MB, rings of 360 GB/s.
//   ring LL      6.6 + 14 x 0.6 = 15 us;  min(141, 180) x 8/14 = 80.571 GB/s: 12.411 us
//   ring Simple  8.4 + 14 x 3.4 = 56 us;  360 x 8/14 = 205.71 GB/s: 4.861 us
//   tree LL128   14 + 14 x 1.25 = 31.5 us;  360 x 0.92 x 7/9 / 2 = 128.8 GB/s, 512 KiB x 0.6 (its
//                1 MB lies between 512 KiB and 1 MiB): 12.940 us
TEST(NcclTuning, OneNodeByHand) {
    const auto e = tuning_of("h200_8").estimates(kReduce, 8, 8, Bytes(1e6));
    EXPECT_NEAR(us(e, FlowAlgorithm::ring, FlowProtocol::ll), 15 + 12.4113, 1e-3);
    EXPECT_NEAR(us(e, FlowAlgorithm::ring, FlowProtocol::simple), 56 + 4.8611, 1e-3);
    EXPECT_NEAR(us(e, FlowAlgorithm::tree, FlowProtocol::ll128), 31.5 + 12.9400, 1e-3);
    EXPECT_EQ(e.size(), 6u);
    EXPECT_EQ(e.front().algorithm, FlowAlgorithm::ring);
    EXPECT_EQ(e.front().protocol, FlowProtocol::ll);
}

// 32 nodes of eight, all_gather of 1 GB by LL128: 14 + 224 x max(1.9, 1) + 31 x 4 = 563.6 us;
// min(360 x 0.92, 12 x 36.7) x 256/255 = 332.5 GB/s: 3007.5 us. An all_reduce by a tree, Simple:
// 8.4 + 2 (7 x 4 + 5 x 14) = 204.4 us; min(331.2, 12 x 36) / 2 = 165.6 GB/s x 1: 6038.6 us.
TEST(NcclTuning, ManyNodesByHand) {
    const NcclTuning tuning = tuning_of("h100_ib");
    const auto gather = tuning.estimates(kGather, 256, 8, Bytes(1e9));
    EXPECT_NEAR(us(gather, FlowAlgorithm::ring, FlowProtocol::ll128), 563.6 + 3007.529, 0.01);
    const auto reduce = tuning.estimates(kReduce, 256, 8, Bytes(1e9));
    EXPECT_NEAR(us(reduce, FlowAlgorithm::tree, FlowProtocol::simple), 204.4 + 6038.647, 0.01);
    EXPECT_EQ(reduce.front().algorithm, FlowAlgorithm::tree);
    // Small ones by trees over many nodes: 2 x 5 steps instead of 510.
    EXPECT_EQ(tuning.estimates(kReduce, 256, 8, Bytes(1024)).front().algorithm,
              FlowAlgorithm::tree);
}

// Every measured call whose time NCCL estimated, with the algorithm and protocol it was forced to,
// and where it chose itself.
void expect_its_own_estimates(const char* file, std::size_t least) {
    const auto json = ConfigNode::load(kProfiles + "measured/" + file);
    const DataTable table = read_data_table(json.at("tables").at("collectives"), "collectives");
    const NcclTuning tuning = tuning_of("h200_8");
    const auto kind = table.column("kind"), algorithm = table.column("algorithm");
    const auto protocol = table.column("protocol"), bytes = table.column("bytes");
    const auto ranks = table.column("ranks"), estimate = table.column("nccl_estimate_us");
    std::size_t compared = 0;
    for (std::size_t i = 0; i < table.rows(); ++i) {
        const auto& row = table.numbers[i];
        const bool known = table.texts[i][kind] == "all_reduce" ||
                           table.texts[i][kind] == "all_gather" ||
                           table.texts[i][kind] == "reduce_scatter";
        if (!known || table.number(i, "ctas_set", 0) != 0) continue;
        const auto n = static_cast<std::uint32_t>(row[ranks]);
        const auto all = tuning.estimates(table.texts[i][kind] == "all_reduce" ? kReduce : kGather,
                                          n, n, Bytes(row[bytes]));
        double ours = 1e6 * all.front().time.value();
        if (table.texts[i][algorithm] != "default") {
            ours = us(all, parse_algorithm(table.texts[i][algorithm], "row"),
                      parse_protocol(table.texts[i][protocol], "row"));
        }
        EXPECT_NEAR(ours / row[estimate], 1, 1e-5) << file << " row " << i;
        ++compared;
    }
    EXPECT_GE(compared, least);
}

TEST(NcclTuning, SaysWhatNcclSaysOfEveryMeasuredCall) {
    expect_its_own_estimates("h200_x2_collectives.json", 153);
    expect_its_own_estimates("h200_x8_collectives.json", 219);
}

TEST(NcclTuning, ClustersWithoutItAndBadOnes) {
    EXPECT_FALSE(NcclTuning::of(load_cluster("crossbar_50GBps", kProfiles)));
    ClusterProfile half = load_cluster("h200_8", kProfiles);
    std::erase_if(half.tables, [](const DataTable& t) { return t.name == "nccl_rate"; });
    EXPECT_THROW(NcclTuning::of(half), InputError);
    EXPECT_THROW(tuning_of("h200_8").estimates(kReduce, 4, 1, Bytes(1e6)), InputError);
    EXPECT_THROW(parse_protocol("LL64", "here"), InputError);
    EXPECT_TRUE(tuning_of("h200_8").estimates(FlowCollective::send_recv, 8, 8, Bytes(1e6)).empty());
}

}  // namespace
}  // namespace orrery
