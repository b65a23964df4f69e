#pragma once
// Bytes a rank holds: parameters, gradients, optimizer state, activations of micro-batches in
// flight, buffers. memory_activations.cpp and memory_static.cpp state the formula of every tensor.

#include <cstdint>
#include <string>
#include <vector>

#include "core/quantity.hpp"
#include "core/sourced.hpp"
#include "model/lowering.hpp"
#include "model/model_spec.hpp"
#include "model/parallel_plan.hpp"
#include "model/weights.hpp"

namespace orrery {

// Parameters of one stage on one rank, split by how they are replicated. Fractions are what tensor
// parallelism leaves of a size it does not divide.
struct StageParameters {
    double dense = 0;   // replicated over all dp ranks
    double expert = 0;  // replicated over dp / ep ranks
    double linear = 0;  // of both together: weights of FP8 GEMMs where the plan computes in FP8
    double total() const { return dense + expert; }
};
// Elements of a weight of a layer with this attention that one rank holds.
double weight_on_rank(const ParallelPlan& plan, const AttentionSpec& attention,
                      const Weight& weight);
// An MTP module's embedding and head are the main model's and not counted with its stage; with tied
// embeddings a head on another stage than the embedding is a copy of its own.
StageParameters stage_parameters(const ModelSpec&, const ParallelPlan&, const StageLayout&);
// Of all stages a rank holds, with the copies of embedding and head that an MTP module needs where
// none of these stages has them (DualPipe puts both on the rank of the MTP module: none).
StageParameters rank_parameters(const ModelSpec&, const ParallelPlan&,
                                const std::vector<StageLayout>& held_stages);

struct MemoryItem {
    std::string name;  // "weights", "gradients", "optimizer state", "activations", ...
    Bytes bytes;
    // Weakest of what the size rests on; activations are counted tensor by tensor.
    Provenance from = {Origin::derived, "tensors counted from the model and the plan"};
};

// Activations kept from forward to backward of one micro-batch of one stage, by tensor; and their
// sum.
std::vector<MemoryItem> stage_activation_items(const ModelSpec&, const ParallelPlan&,
                                               const StageLayout&, const BatchShape&);
Bytes stage_activations(const ModelSpec&, const ParallelPlan&, const StageLayout&,
                        const BatchShape&);
// What one micro-batch of a stage holds between an input-gradient pass and its weight-gradient pass
// where a schedule takes them apart: inputs and output gradients of every linear layer, instead of
// its activations.
Bytes stage_weight_gradient_operands(const ModelSpec&, const ParallelPlan&, const StageLayout&,
                                     const BatchShape&);

// Staging buffers of DeepEP's normal kernels for a group of `ep` ranks, at their defaults.
Bytes deepep_staging_bytes(std::int64_t ep, std::int64_t hidden);

// Everything but activations on a rank holding these stages, of which `copies` pipeline ranks hold
// each (2 for DualPipe).
std::vector<MemoryItem> static_memory(const ModelSpec&, const ParallelPlan&,
                                      const std::vector<StageLayout>& held_stages,
                                      std::int64_t copies, const BatchShape&);

}  // namespace orrery
