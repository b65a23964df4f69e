#pragma once
// Bytes a rank holds: parameters, gradients, optimizer state, activations of micro-batches in
// flight.

#include <cstdint>
#include <string>
#include <vector>

#include "core/quantity.hpp"
#include "model/lowering.hpp"
#include "model/model_spec.hpp"
#include "model/parallel_plan.hpp"

namespace orrery {

// Parameters of one stage on one rank, split by how they are replicated.
struct StageParameters {
    double dense = 0;   // replicated over all dp ranks
    double expert = 0;  // replicated over dp / ep ranks
};
StageParameters stage_parameters(const ModelSpec&, const ParallelPlan&, const StageLayout&);

// Activation bytes kept from forward to backward of one micro-batch of one stage.
Bytes stage_activations(const ModelSpec&, const ParallelPlan&, const StageLayout&,
                        const BatchShape&);

struct MemoryItem {
    std::string name;  // "weights", "gradients", "optimizer state", "activations", ...
    Bytes bytes;
};
// Everything but activations on a rank holding these stages.
std::vector<MemoryItem> static_memory(const ModelSpec&, const ParallelPlan&,
                                      const std::vector<StageLayout>& held_stages,
                                      std::int64_t copies, const BatchShape&);

}  // namespace orrery
