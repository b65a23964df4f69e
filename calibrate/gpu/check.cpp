#include "calibrate/gpu/check.hpp"

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery::calibrate {

void check(cudaError_t result, const char* call) {
    if (result == cudaSuccess) return;
    throw InputError(fmt::format("{}: {}", call, cudaGetErrorString(result)));
}
void check(cublasStatus_t result, const char* call) {
    if (result == CUBLAS_STATUS_SUCCESS) return;
    throw InputError(fmt::format("{}: {}", call, cublasLtGetStatusString(result)));
}
void check(CUptiResult result, const char* call) {
    if (result == CUPTI_SUCCESS) return;
    const char* text = "unknown CUPTI error";
    cuptiGetResultString(result, &text);
    if (result == CUPTI_ERROR_INSUFFICIENT_PRIVILEGES)
        throw InputError(
            "CUPTI: no permission to profile: load the NVIDIA driver with "
            "NVreg_RestrictProfilingToAdminUsers=0 or run as root");
    throw InputError(fmt::format("{}: {}", call, text));
}

}  // namespace orrery::calibrate
