#pragma once
// Segments: runs of operators between two synchronisations, as integer prefix sums of their
// durations in every environment (what runs beside them). A whole segment is one event; when the
// environment changes in the middle, the operator in flight is found in the prefix sums.
//
//   prefix[e][i] = sum of the first i durations in environment e, picoseconds
//
// The operator in flight keeps its share of work: left' = ceil(left x d'/d), in 128-bit integers.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace orrery {

// What runs beside an operator of the compute stream. Environment 0 is "alone"; the others are the
// communication kernels a program knows, waiting or moving (CollectiveSpec names them).
inline constexpr int kMaxEnvironments = 8;
struct OperatorDurations {
    std::array<std::int64_t, kMaxEnvironments> ps{};  // one per environment in use
};

using SegmentId = std::uint32_t;

class SegmentTable {
  public:
    explicit SegmentTable(int environments = 1) : environments_(environments) {}

    SegmentId add(std::span<const OperatorDurations> operators);
    // The segments first ... first + count - 1 once more, under the next ids; nothing is copied.
    void repeat(SegmentId first, std::uint32_t count);
    int environments() const { return environments_; }
    std::uint32_t operators(SegmentId id) const { return segments_[id].count; }
    std::int64_t total(SegmentId id, int environment) const {
        return prefix(id, environment)[segments_[id].count];
    }
    // prefix(id, e)[0 .. operators]; [0] is 0.
    const std::int64_t* prefix(SegmentId id, int environment) const {
        const Entry& entry = segments_[id];
        return &prefix_[entry.offset + static_cast<std::size_t>(environment) * (entry.count + 1)];
    }
    // A position `done` picoseconds into the segment in environment `from`, carried over to `to`.
    std::int64_t carry_over(SegmentId id, std::int64_t done, int from, int to) const;

  private:
    struct Entry {
        std::size_t offset = 0;
        std::uint32_t count = 0;
    };
    int environments_;
    std::vector<Entry> segments_;
    std::vector<std::int64_t> prefix_;
};

}  // namespace orrery
