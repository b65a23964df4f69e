#pragma once
// NCCL communicators of the first n GPUs in one process, with a chosen algorithm, protocol and
// channel count, and one call of a collective on all of them.

#include <string>
#include <vector>

#include "calibrate/gpu/gpu_group.hpp"
#include "calibrate/gpu/nccl_api.hpp"
#include "hardware/operator.hpp"

namespace orrery::calibrate {

// What a user may ask of NCCL; its own choice where empty or 0.
struct NcclSetting {
    std::string algorithm;  // "Ring", "Tree"
    std::string protocol;   // "LL", "LL128", "Simple"
    int ctas = 0;           // channels: CTAs a collective takes
};

class NcclGroup {
  public:
    // Throws InputError where NCCL refuses. `bytes` is the largest buffer; send and receive buffers
    // are the callers', [gpu], at least that large.
    NcclGroup(const NcclApi& api, const GpuGroup& gpus, int ranks, const NcclSetting& setting);
    ~NcclGroup();
    NcclGroup(const NcclGroup&) = delete;
    int ranks() const { return int(comms_.size()); }

    // Queues one call on every rank's stream. `bytes`, a multiple of 4 ranks, of float32:
    //   all_reduce, broadcast (from rank 0)  the buffer
    //   all_gather, reduce_scatter           the whole buffer, bytes / ranks a rank
    //   all_to_all                           a rank's buffer: bytes / ranks to each, itself too
    //   send_recv                            to the next rank, and as much from the one before
    void launch(CommunicationKind kind, std::int64_t bytes, const std::vector<Buffer>& send,
                const std::vector<Buffer>& receive) const;
    // NCCL's own estimate of that call in microseconds (ncclGroupSimulateEnd); 0 where it has none.
    double estimate_us(CommunicationKind kind, std::int64_t bytes, const std::vector<Buffer>& send,
                       const std::vector<Buffer>& receive) const;

  private:
    void queue(CommunicationKind kind, std::int64_t bytes, const std::vector<Buffer>& send,
               const std::vector<Buffer>& receive) const;
    const NcclApi& api_;
    const GpuGroup& gpus_;
    std::vector<ncclComm_t> comms_;
};

// Bytes that a rank puts on NVLink in such a call.
double bytes_sent(CommunicationKind kind, std::int64_t bytes, int ranks);

}  // namespace orrery::calibrate
