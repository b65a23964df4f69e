#pragma once
// Whether an engine's plan can be: degrees that divide, experts that go round, kernels that exist.

#include "core/config.hpp"
#include "serving/engine_spec.hpp"

namespace orrery {

// Throws InputError at the key of `pool` that breaks a rule (at the pool where it has no such key).
void check_engine(const EngineSpec& engine, const ConfigNode& pool);

}  // namespace orrery
