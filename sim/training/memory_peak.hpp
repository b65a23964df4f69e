#pragma once
// Peak memory of a rank: what it always holds, plus the activations of micro-batches in flight at
// the worst moment of its schedule.

#include <cstdint>
#include <vector>

#include "model/memory.hpp"
#include "training/schedule.hpp"
#include "training/training_spec.hpp"

namespace orrery {

struct MemoryPeak {
    int pipeline_rank = 0;  // the fullest
    Bytes total;
    Bytes capacity;
    std::vector<MemoryItem> items;  // add up to total
    double chunks_in_flight = 0;    // micro-batch chunks whose activations are held at the peak
    std::vector<Bytes> by_pipeline_rank;

    bool fits() const { return total <= capacity; }
};

// Activations of a chunk are held from its forward to its backward; where the backward is split,
// the operands of its weight gradients stay until that pass is done.
MemoryPeak memory_peak(const TrainingSpec& spec, const PipelineSchedule& schedule);

}  // namespace orrery
