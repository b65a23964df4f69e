#pragma once
// Tokens that an engine's KV cache holds where a scenario names no number: see KvShare.

#include "serving/deployment.hpp"
#include "serving/policy.hpp"

namespace orrery {

// Of an attention group; 0 where the share leaves nothing beside the weights.
std::int64_t kv_tokens(const KvShare& share, const DeployedPool& pool);

}  // namespace orrery
