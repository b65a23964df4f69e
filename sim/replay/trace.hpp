#pragma once
// What a traced rank did: one record per instruction, rebuilt into one span per operator
// afterwards, so that ranks which are not traced pay nothing.

#include <cstdint>
#include <vector>

#include "replay/program.hpp"

namespace orrery {

struct TraceRequest {
    std::vector<std::uint32_t> ranks;  // traced; a folded rank is traced through its representative
};

// A stretch of a segment in one environment: at `start_ps` the segment stood at `position`
// (picoseconds of that environment's prefix sums).
struct TraceStretch {
    std::int64_t start_ps = 0;
    std::int64_t position = 0;
    std::uint8_t environment = 0;
};
struct TraceRecord {
    Stream stream = Stream::compute;
    std::uint32_t instruction = 0;  // index in its stream
    std::uint32_t action = 0;       // action in progress
    std::int64_t start_ps = 0;
    std::int64_t moving_ps = 0;  // collectives: when the last member had arrived
    std::int64_t end_ps = 0;
    double slowness = 1.0;
    std::vector<TraceStretch> stretches;  // segments on the compute stream
};
struct RankTrace {
    std::uint32_t rank = 0;
    std::uint32_t program = 0;
    std::vector<TraceRecord> records;  // in order of completion
};

// Start and end of one operator of a segment.
struct OperatorSpan {
    std::uint32_t record = 0;     // into RankTrace::records
    std::uint32_t operation = 0;  // index within the segment
    std::int64_t start_ps = 0, end_ps = 0;
};
std::vector<OperatorSpan> operator_spans(const RankTrace& trace, const ReplayInput& input);

}  // namespace orrery
