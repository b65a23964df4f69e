#pragma once
// NCCL, opened at run time: a program built with nccl.h starts where the library is missing, and
// runs with any 2.2x library of the same host interface.

#include <memory>
#include <string>

#include <nccl.h>

namespace orrery::calibrate {

class NcclApi {
  public:
    // libnccl.so.2 beside the program, on LD_LIBRARY_PATH or in the system; nullptr where it is not
    // found or lacks a function, and `why` says which. NVLink multicast (NVLS) is switched off.
    static std::unique_ptr<NcclApi> open(std::string& why);
    ~NcclApi();
    NcclApi(const NcclApi&) = delete;
    // "2.28.3"
    std::string version() const;
    // Throws InputError with NCCL's text.
    void check(ncclResult_t result, const char* call) const;

    decltype(&ncclGetVersion) get_version = nullptr;
    decltype(&ncclGetErrorString) get_error_string = nullptr;
    decltype(&ncclGetUniqueId) get_unique_id = nullptr;
    decltype(&ncclCommInitRankConfig) comm_init_rank_config = nullptr;
    decltype(&ncclCommDestroy) comm_destroy = nullptr;
    decltype(&ncclGroupStart) group_start = nullptr;
    decltype(&ncclGroupEnd) group_end = nullptr;
    decltype(&ncclGroupSimulateEnd) group_simulate_end = nullptr;
    decltype(&ncclAllReduce) all_reduce = nullptr;
    decltype(&ncclAllGather) all_gather = nullptr;
    decltype(&ncclReduceScatter) reduce_scatter = nullptr;
    decltype(&ncclBroadcast) broadcast = nullptr;
    decltype(&ncclSend) send = nullptr;
    decltype(&ncclRecv) recv = nullptr;

  private:
    NcclApi() = default;
    void* library_ = nullptr;
};

}  // namespace orrery::calibrate

#define ORRERY_NCCL(api, call) (api).check((api).call, #call)
