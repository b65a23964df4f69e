#pragma once
// One overlapped forward and backward chunk on one rank and nothing else, in the setting of
// DeepSeek's published trace: two chunks of four MoE layers, balanced routing, no pipeline sends,
// peers in step. Taken apart by phase and class of operator.

#include <vector>

#include "training/pricing.hpp"
#include "training/training_spec.hpp"

namespace orrery {

// Sum of durations of one phase's operators of one class.
struct PairShare {
    std::string phase;           // "mlp B", "dispatch F"
    std::string operator_class;  // "gemm", ..., or the communication's name
    Seconds time;
    std::int64_t operators = 0;
};
struct ChunkPair {
    Seconds time;  // 0: the model has no MoE layers, so there is no such pair
    Seconds compute_busy, communication_busy, exposed_communication;
    std::vector<PairShare> shares;
    Origin weakest = Origin::measured;
};

ChunkPair traced_chunk_pair(const TrainingSpec& spec, const OperatorTimeModel& compute,
                            const CommunicationCost& communication);

}  // namespace orrery
