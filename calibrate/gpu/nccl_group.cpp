#include "calibrate/gpu/nccl_group.hpp"

#include <cstdlib>

#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

using K = CommunicationKind;

// NCCL reads these when a communicator is made.
void set_or_clear(const char* name, const std::string& value) {
    if (value.empty())
        unsetenv(name);
    else
        setenv(name, value.c_str(), 1);
}

}  // namespace

NcclGroup::NcclGroup(const NcclApi& api, const GpuGroup& gpus, int ranks,
                     const NcclSetting& setting)
    : api_(api), gpus_(gpus), comms_(std::size_t(ranks), nullptr) {
    set_or_clear("NCCL_ALGO", setting.algorithm);
    set_or_clear("NCCL_PROTO", setting.protocol);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    if (setting.ctas > 0) config.minCTAs = config.maxCTAs = setting.ctas;
    ncclUniqueId id;
    ORRERY_NCCL(api_, get_unique_id(&id));
    ORRERY_NCCL(api_, group_start());
    ncclResult_t started = ncclSuccess;
    for (int r = 0; r < ranks && started == ncclSuccess; ++r) {
        const OnGpu on(gpus_.lane(r).device);
        started = api_.comm_init_rank_config(&comms_[std::size_t(r)], ranks, id, r, &config);
    }
    const ncclResult_t ended = api_.group_end();
    set_or_clear("NCCL_ALGO", "");
    set_or_clear("NCCL_PROTO", "");
    api_.check(started, "ncclCommInitRankConfig");
    api_.check(ended, "ncclGroupEnd of ncclCommInitRankConfig");
}

NcclGroup::~NcclGroup() {
    for (std::size_t r = 0; r < comms_.size(); ++r) {
        const OnGpu on(gpus_.lane(int(r)).device);
        if (comms_[r]) api_.comm_destroy(comms_[r]);
    }
}

void NcclGroup::queue(CommunicationKind kind, std::int64_t bytes, const std::vector<Buffer>& send,
                      const std::vector<Buffer>& receive) const {
    const int n = ranks();
    const auto count = std::size_t(bytes / 4), part = count / std::size_t(n);
    for (int r = 0; r < n; ++r) {
        const OnGpu on(gpus_.lane(r).device);
        const cudaStream_t stream = gpus_.lane(r).stream;
        const ncclComm_t comm = comms_[std::size_t(r)];
        const auto* from = send[std::size_t(r)].as<float>();
        auto* to = receive[std::size_t(r)].as<float>();
        switch (kind) {
            case K::all_reduce:
                ORRERY_NCCL(api_, all_reduce(from, to, count, ncclFloat32, ncclSum, comm, stream));
                break;
            case K::all_gather:
                ORRERY_NCCL(api_, all_gather(from, to, part, ncclFloat32, comm, stream));
                break;
            case K::reduce_scatter:
                ORRERY_NCCL(api_,
                            reduce_scatter(from, to, part, ncclFloat32, ncclSum, comm, stream));
                break;
            case K::broadcast:
                ORRERY_NCCL(api_, broadcast(from, to, count, ncclFloat32, 0, comm, stream));
                break;
            case K::all_to_all:
                for (int p = 0; p < n; ++p) {
                    const std::size_t at = part * std::size_t(p);
                    ORRERY_NCCL(api_, send(from + at, part, ncclFloat32, p, comm, stream));
                    ORRERY_NCCL(api_, recv(to + at, part, ncclFloat32, p, comm, stream));
                }
                break;
            case K::send_recv:
                ORRERY_NCCL(api_, send(from, count, ncclFloat32, (r + 1) % n, comm, stream));
                ORRERY_NCCL(api_, recv(to, count, ncclFloat32, (r + n - 1) % n, comm, stream));
                break;
            default:
                throw InputError("not an NCCL collective");
        }
    }
}

void NcclGroup::launch(CommunicationKind kind, std::int64_t bytes, const std::vector<Buffer>& send,
                       const std::vector<Buffer>& receive) const {
    ORRERY_NCCL(api_, group_start());
    queue(kind, bytes, send, receive);
    ORRERY_NCCL(api_, group_end());
}

double NcclGroup::estimate_us(CommunicationKind kind, std::int64_t bytes,
                              const std::vector<Buffer>& send,
                              const std::vector<Buffer>& receive) const {
    // NCCL estimates collectives only; sends simulated leave the communicator unusable.
    if (kind == K::all_to_all || kind == K::send_recv) return 0;
    ncclSimInfo_t info = NCCL_SIM_INFO_INITIALIZER;
    ORRERY_NCCL(api_, group_start());
    queue(kind, bytes, send, receive);
    if (api_.group_simulate_end(&info) != ncclSuccess || !(info.estimatedTime > 0)) return 0;
    return double(info.estimatedTime);
}

double bytes_sent(CommunicationKind kind, std::int64_t bytes, int ranks) {
    const double others = double(ranks - 1) / ranks;
    switch (kind) {
        case K::all_reduce:
            return 2 * double(bytes) * others;
        case K::all_gather:
        case K::reduce_scatter:
        case K::all_to_all:
            return double(bytes) * others;
        default:
            return double(bytes);
    }
}

}  // namespace orrery::calibrate
