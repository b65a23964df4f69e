#pragma once
// Stand-in for an expert all-to-all kernel: a few CTAs that own their SMs, poll, and move device
// memory at a set rate until told to stop. C linkage so that a script can load it too.

#include <cstdint>

#include <cuda_runtime_api.h>

extern "C" {

struct OrreryCommunication {
    int ctas;             // SMs owned: each CTA takes 200 KiB of shared memory
    int cluster;          // CTAs a cluster: 1, or 2 as expert all-to-all kernels launch
    int whole_sm;         // 0: take no shared memory, so that others may share the SM
    double bytes_per_ns;  // read + written, all CTAs together; 0 polls only; < 0 no limit
    const void* from;     // at least `buffer_bytes` each
    void* to;
    std::int64_t buffer_bytes;
    std::int64_t longest_ns;  // the kernel ends by itself after this time
    volatile int* stop;       // device memory: non-zero ends the kernel
    volatile int* started;    // memory the host can read: CTAs that run, counted up
    std::uint64_t* report;    // device, [ctas][3]: bytes read + written, nanoseconds, SM number
};

// Launches on `stream` and returns at once; a cudaError_t.
int orrery_communication_launch(const OrreryCommunication* what, void* stream);

}  // extern "C"
