#pragma once
// The named sets, a file each. Internal to serving.

#include "serving/engine_spec.hpp"
#include "serving/policy.hpp"

namespace orrery {

PolicyKind sglang_like();
PolicyKind vllm_like();
PolicyKind trtllm_like();
PolicyKind lmdeploy_like();
PolicyKind lightllm_like();
PolicyKind mindie_like();
PolicyKind deepseek_infer_demo();

// No engine states its work on the CPU between two iterations.
Sourced<Seconds> assumed_cpu(double milliseconds);

}  // namespace orrery
