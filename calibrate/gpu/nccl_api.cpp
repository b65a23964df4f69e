#include "calibrate/gpu/nccl_api.hpp"

#include <cstdlib>

#include <dlfcn.h>
#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery::calibrate {

std::unique_ptr<NcclApi> NcclApi::open(std::string& why) {
    setenv("NCCL_NVLS_ENABLE", "0", 1);
    std::unique_ptr<NcclApi> api(new NcclApi);
    api->library_ = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!api->library_) {
        why = dlerror();
        return nullptr;
    }
    why.clear();
    const auto find = [&](auto& function, const char* name) {
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
            dlsym(api->library_, name));
        if (!function) why = fmt::format("libnccl.so.2 has no {}", name);
    };
    find(api->get_version, "ncclGetVersion");
    find(api->get_error_string, "ncclGetErrorString");
    find(api->get_unique_id, "ncclGetUniqueId");
    find(api->comm_init_rank_config, "ncclCommInitRankConfig");
    find(api->comm_destroy, "ncclCommDestroy");
    find(api->group_start, "ncclGroupStart");
    find(api->group_end, "ncclGroupEnd");
    find(api->group_simulate_end, "ncclGroupSimulateEnd");
    find(api->all_reduce, "ncclAllReduce");
    find(api->all_gather, "ncclAllGather");
    find(api->reduce_scatter, "ncclReduceScatter");
    find(api->broadcast, "ncclBroadcast");
    find(api->send, "ncclSend");
    find(api->recv, "ncclRecv");
    return why.empty() ? std::move(api) : nullptr;
}

NcclApi::~NcclApi() {
    if (library_) dlclose(library_);
}

std::string NcclApi::version() const {
    int v = 0;
    check(get_version(&v), "ncclGetVersion");
    return fmt::format("{}.{}.{}", v / 10000, v / 100 % 100, v % 100);
}

void NcclApi::check(ncclResult_t result, const char* call) const {
    if (result == ncclSuccess) return;
    throw InputError(fmt::format("{}: {}", call, get_error_string(result)));
}

}  // namespace orrery::calibrate
