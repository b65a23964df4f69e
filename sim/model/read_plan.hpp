#pragma once
// Reads a scenario's "plan" block:
//
//   tp, pp, dp, ep, cp     degrees, 1 where missing
//   micro_batch_size       sequences, 1 where missing
//   schedule               a schedule's name, "1f1b" where missing
//   virtual_stages         model chunks a rank, for interleaved_1f1b (2 where missing)
//   precision              "bf16" (where missing), "fp8_tensor", "fp8_block"
//   recompute              "none" (where missing), one name or a list of "norm",
//                          "mla_up_projection", "swiglu", "full"
//   zero_stage             0 or 1 (where missing)
//   placement              "even" (where missing) or "deepseek_v3": a rule, for any stage count
//   stages                 instead of a rule, every stage: [{"embedding": true, "layers": "0-3"},
//                          {"layers": "4-7"}, ..., {"layers": "60", "mtp": 1, "head": true}]
//   framework_memory       {"value": "2 GB", "origin": ..., "source": ...}

#include <vector>

#include "core/config.hpp"
#include "model/model_spec.hpp"
#include "model/parallel_plan.hpp"

namespace orrery {

// The plan as written, with stages; whether it fits the model is check_plan's question. Leaves
// unknown keys for the caller to reject. Throws InputError naming file, key, value and rule.
ParallelPlan read_plan(const ConfigNode& plan, const ModelSpec& model);
// The explicit list of the "stages" key.
std::vector<StageLayout> read_stages(const ConfigNode& stages, const ModelSpec& model);

}  // namespace orrery
