#pragma once
// Kernel start and end times from CUPTI's Activity API.

#include <cstdint>
#include <string>
#include <vector>

namespace orrery::calibrate {

struct KernelRecord {
    std::string name;
    std::uint64_t start_ns = 0, end_ns = 0;
    std::uint32_t stream = 0;
    int ctas = 0;  // of the grid
    bool is_memset = false;
    int device = 0;
    bool is_copy = false;  // by a copy engine, or cudaMemcpy's own kernel
};

// One per process: CUPTI is global. Turn off again with the object.
class KernelTimer {
  public:
    KernelTimer();
    ~KernelTimer();
    KernelTimer(const KernelTimer&) = delete;
    // Records of everything that has ended since the last call, by start time. The caller has
    // synchronised the streams it wants complete.
    std::vector<KernelRecord> take();
    // Kernels run without being recorded, and without the 0.7 us that recording puts between two.
    void pause(bool on);
    // Whether copies are recorded too; at first they are not.
    void record_copies(bool on);
};

}  // namespace orrery::calibrate
