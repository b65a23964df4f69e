#pragma once
// Topologies of one machine from what its tools print.

#include <string_view>

#include "network/topology.hpp"

namespace orrery {

// Nominal one-way rates that the texts do not state.
struct ImportRates {
    BytesPerSecond nvlink_each = BytesPerSecond(25e9);   // NVLink 2 to 4: 25 GB/s a link and way
    BytesPerSecond pcie_lane = BytesPerSecond(3.938e9);  // PCIe 5.0: 32 GT/s, 128b/130b
    BytesPerSecond socket = BytesPerSecond(62.4e9);      // between two sockets: 3 UPI of 20.8 GB/s
};

// `nvidia-smi topo -m`: GPUs as endpoints, NICs and NUMA nodes as bridges.
//   NV#     # NVLinks; the same # between all GPUs: one NVLink switch
//   PIX, PXB     one PCIe switch;  PHB, NODE   one socket;  SYS   across sockets
// Throws InputError naming `name`, the row and what is wrong.
Topology import_nvidia_smi(std::string_view text, const std::string& name,
                           const ImportRates& rates = {});

// NCCL's topology XML (NCCL_TOPO_DUMP_FILE): <system>, <cpu>, <pci link_speed link_width>, <gpu
// dev rank>, <nvlink target count>, <nic>, <net speed>. NVLinks to targets of class 0x068000 lead
// to one NVLink switch. Throws InputError.
Topology import_nccl_xml(std::string_view text, const std::string& name,
                         const ImportRates& rates = {});

}  // namespace orrery
