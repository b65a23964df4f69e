#pragma once
// Every CUDA, cuBLASLt and CUPTI call goes through one of these: a failure throws InputError with
// what was called and what the library said.

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cupti.h>

namespace orrery::calibrate {

void check(cudaError_t result, const char* call);
void check(cublasStatus_t result, const char* call);
void check(CUptiResult result, const char* call);

}  // namespace orrery::calibrate

#define ORRERY_CHECK(call) ::orrery::calibrate::check((call), #call)
