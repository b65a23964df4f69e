#pragma once
// One overlapped forward and backward chunk replayed alone and taken apart by phase and class.

#include "training/job.hpp"
#include "training/step.hpp"

namespace orrery {

ChunkPair measure_chunk_pair(JobBuilder& job, std::size_t stage);

}  // namespace orrery
