#pragma once
// Traces of replayed ranks as a timeline for people: one span per operator, named by layer, pass
// and micro-batch.

#include <vector>

#include "core/run_result.hpp"
#include "replay/trace.hpp"
#include "training/piece.hpp"

namespace orrery {

// Spans of the traced ranks; of each rank's first and last micro-batches only, unless `all`.
Timeline make_timeline(const std::vector<RankTrace>& traces, const ReplayInput& input,
                       const PieceFactory& pieces, bool all);

}  // namespace orrery
