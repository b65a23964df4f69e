#pragma once
// A collective as NCCL does it on a cluster's network: NCCL's choice of algorithm and protocol
// (nccl_tuning.hpp), its cost (protocol_costs.hpp), its bytes on the links
// (symmetric_collective.hpp).
//
//   time of a stage = (fixed + max(moving, bytes on the links / their share) + local) correction
//
// Links' own latencies are part of `fixed`, as measured. nvls was not measured: its `fixed` is
// NCCL's own latency, its bytes reach NCCL's share of the links' rate (nvlsEfficiency). send_recv
// and all_to_all run message by message; between nodes their links' latency counts as well.

#include "collective/nccl_tuning.hpp"
#include "collective/protocol_costs.hpp"
#include "collective/symmetric_collective.hpp"

namespace orrery {

struct NcclCollective {
    FlowCollectiveResult result;
    std::vector<NcclEstimate> estimates;  // what NCCL compared, the best first
    bool was_chosen = false;              // by the estimates; else asked for
    // Of its stages together: time = (fixed + bytes_time + local) correction.
    ProtocolPrice price;
    double bytes_time =
        0;  // s: the bytes' way, at the protocol's own pace or, if slower, the links'
};

// Throws InputError as run_collective, and for a protocol that the algorithm does not have.
NcclCollective run_nccl_collective(RoutedNetwork& network, const FlowCollectiveRequest& request,
                                   const NcclTuning& tuning, const ProtocolCosts& costs);

}  // namespace orrery
