#include "calibrate/gpu/kernel_timer.hpp"

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "calibrate/gpu/check.hpp"

namespace orrery::calibrate {
namespace {

// CUPTI calls back without a context argument, so the records pass through here.
std::mutex g_mutex;
std::vector<KernelRecord> g_records;

void CUPTIAPI on_request(std::uint8_t** buffer, std::size_t* size, std::size_t* most_records) {
    constexpr std::size_t kSize = 8u << 20;
    *buffer = static_cast<std::uint8_t*>(std::aligned_alloc(8, kSize));
    *size = *buffer ? kSize : 0;
    *most_records = 0;
}

void CUPTIAPI on_complete(CUcontext, std::uint32_t, std::uint8_t* buffer, std::size_t,
                          std::size_t valid) {
    CUpti_Activity* record = nullptr;
    const std::lock_guard lock(g_mutex);
    while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
        if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
            const auto* k = reinterpret_cast<CUpti_ActivityKernel10*>(record);
            g_records.push_back({k->name ? k->name : "", k->start, k->end, k->streamId,
                                 k->gridX * k->gridY * k->gridZ, false, int(k->deviceId), false});
        } else if (record->kind == CUPTI_ACTIVITY_KIND_MEMSET) {
            const auto* m = reinterpret_cast<CUpti_ActivityMemset4*>(record);
            g_records.push_back(
                {"memset", m->start, m->end, m->streamId, 0, true, int(m->deviceId), false});
        } else if (record->kind == CUPTI_ACTIVITY_KIND_MEMCPY) {
            const auto* c = reinterpret_cast<CUpti_ActivityMemcpy6*>(record);
            g_records.push_back(
                {"copy", c->start, c->end, c->streamId, 0, false, int(c->deviceId), true});
        } else if (record->kind == CUPTI_ACTIVITY_KIND_MEMCPY2) {
            const auto* c = reinterpret_cast<CUpti_ActivityMemcpyPtoP4*>(record);
            g_records.push_back(
                {"peer copy", c->start, c->end, c->streamId, 0, false, int(c->deviceId), true});
        }
    }
    std::free(buffer);
}

}  // namespace

KernelTimer::KernelTimer() {
    ORRERY_CHECK(cuptiActivityRegisterCallbacks(on_request, on_complete));
    ORRERY_CHECK(cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL));
    ORRERY_CHECK(cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMSET));
}
KernelTimer::~KernelTimer() {
    cuptiActivityFlushAll(1);
    cuptiActivityDisable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
    cuptiActivityDisable(CUPTI_ACTIVITY_KIND_MEMSET);
}

void KernelTimer::pause(bool on) {
    const auto set = on ? cuptiActivityDisable : cuptiActivityEnable;
    ORRERY_CHECK(cuptiActivityFlushAll(1));
    ORRERY_CHECK(set(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL));
    ORRERY_CHECK(set(CUPTI_ACTIVITY_KIND_MEMSET));
}

void KernelTimer::record_copies(bool on) {
    const auto set = on ? cuptiActivityEnable : cuptiActivityDisable;
    ORRERY_CHECK(cuptiActivityFlushAll(1));
    ORRERY_CHECK(set(CUPTI_ACTIVITY_KIND_MEMCPY));
    ORRERY_CHECK(set(CUPTI_ACTIVITY_KIND_MEMCPY2));
}

std::vector<KernelRecord> KernelTimer::take() {
    ORRERY_CHECK(cuptiActivityFlushAll(1));
    std::vector<KernelRecord> records;
    {
        const std::lock_guard lock(g_mutex);
        records.swap(g_records);
    }
    std::erase_if(records, [](const KernelRecord& r) { return r.end_ns == 0; });
    std::sort(records.begin(), records.end(),
              [](const KernelRecord& a, const KernelRecord& b) { return a.start_ns < b.start_ns; });
    return records;
}

}  // namespace orrery::calibrate
