#include "network/importers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "core/error.hpp"
#include "network/routed_network.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

std::string sample(const char* file) {
    return read_text_file(std::string(ORRERY_SOURCE_DIR "/tests/unit/network/data/") + file,
                          "text");
}
std::int64_t links(const Topology& topology, LinkClass kind) {
    std::int64_t count = 0;
    for (const TopologyLink& link : topology.links) count += link.link_class == kind;
    return count;
}
std::string message_of(auto import) {
    try {
        import();
    } catch (const InputError& error) {
        return error.what();
    }
    return "";
}

// Four GPUs, each 18 x 25 GB/s to one NVLink switch; GPU i and NIC i under one PCIe switch, two
// sockets with two PCIe switches each, joined.
TEST(NvidiaSmi, MatrixOfADgx) {
    const Topology topology = import_nvidia_smi(sample("dgx_h100_topo_m.txt"), "topo");
    EXPECT_EQ(topology.endpoints.size(), 4u);
    EXPECT_EQ(links(topology, LinkClass::nvlink), 4);
    EXPECT_EQ(links(topology, LinkClass::pcie), 8 + 4 + 1);
    EXPECT_EQ(topology.links.front().bandwidth, BytesPerSecond(450e9));
    check_connected(topology);
    RoutedNetwork network(topology);
    EXPECT_EQ(network.path(0, 3).hops.size(), 2u);
}

// Without a switch GPUs are joined in pairs: 2 and 1 NVLinks; a pair without goes over PCIe.
TEST(NvidiaSmi, PairsWithoutASwitch) {
    const Topology topology = import_nvidia_smi(
        "     GPU0 GPU1 GPU2\nGPU0 X NV2 PHB\nGPU1 NV2 X NV1\nGPU2 PHB NV1 X\n", "topo");
    EXPECT_EQ(links(topology, LinkClass::nvlink), 2);
    EXPECT_EQ(topology.links[0].bandwidth, BytesPerSecond(50e9));
    EXPECT_EQ(topology.links[1].bandwidth, BytesPerSecond(25e9));
    check_connected(topology);
}

TEST(NvidiaSmi, OddTextsAreRefused) {
    const auto message = [](const char* text) {
        return message_of([&] { import_nvidia_smi(text, "topo.txt"); });
    };
    EXPECT_THAT(message(""), HasSubstr("topo.txt"));
    EXPECT_THAT(message("GPU0 GPU1\nGPU0 X NV\nGPU1 NV X\n"), HasSubstr("\"NV\": must be"));
    EXPECT_THAT(message("GPU0 GPU1\nGPU0 X NV4\n"), HasSubstr("1 rows for 2 devices"));
    EXPECT_THAT(message("GPU0 GPU1\nGPU1 X NV4\n"), HasSubstr("next device"));
}

// Two GPUs of 18 NVLinks to the switches; PCIe 5.0 x16: 32 GT/s x 16 lanes x 128/130 / 8 bits.
TEST(NcclXml, TwoGpusOnTwoSockets) {
    const Topology topology = import_nccl_xml(sample("two_gpus_nccl.xml"), "nccl");
    EXPECT_EQ(topology.endpoints.size(), 2u);
    EXPECT_EQ(links(topology, LinkClass::nvlink), 2);
    EXPECT_EQ(links(topology, LinkClass::pcie), 6);
    EXPECT_NEAR(topology.links.front().bandwidth.value(), 63.015e9, 1e6);
    EXPECT_EQ(topology.links.back().bandwidth, BytesPerSecond(450e9));
    check_connected(topology);
    RoutedNetwork network(topology);
    EXPECT_EQ(network.path(0, 1).hops.size(), 2u);
}

TEST(NcclXml, OddDocumentsAreRefused) {
    const auto message = [](const char* text) {
        return message_of([&] { import_nccl_xml(text, "nccl.xml"); });
    };
    EXPECT_THAT(message("<system>"), HasSubstr("nccl.xml:1"));
    EXPECT_THAT(message("<a/>"), HasSubstr("<system>: is missing"));
    EXPECT_THAT(message("<system/>"), HasSubstr("has no <gpu>"));
    EXPECT_THAT(message("<system><cpu/></system>"), HasSubstr("<cpu> numaid: is missing"));
    EXPECT_THAT(message("<system><cpu numaid='0'><pci busid='a' link_speed='fast' link_width='16'/>"
                        "</cpu></system>"),
                HasSubstr("link_speed = fast: must be a number above 0"));
}

}  // namespace
}  // namespace orrery
