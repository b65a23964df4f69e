#include "replay/segment.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/wide_integer.hpp"

namespace orrery {
namespace {

// ceil(left x numerator / denominator); the product in 128 bits where 64 do not hold it.
std::int64_t scale_up(std::int64_t left, std::int64_t numerator, std::int64_t denominator) {
    std::int64_t product = 0;
    if (!__builtin_mul_overflow(left, numerator, &product) &&
        !__builtin_add_overflow(product, denominator - 1, &product)) {
        return product / denominator;
    }
    const int128 wide = static_cast<int128>(left) * numerator;
    return static_cast<std::int64_t>((wide + denominator - 1) / denominator);
}

}  // namespace

SegmentId SegmentTable::add(std::span<const OperatorDurations> operators) {
    Entry entry{prefix_.size(), static_cast<std::uint32_t>(operators.size())};
    for (int e = 0; e < environments_; ++e) {
        std::int64_t sum = 0;
        prefix_.push_back(0);
        for (const OperatorDurations& op : operators) {
            const std::int64_t d = op.ps[static_cast<std::size_t>(e)];
            if (d < 0 || __builtin_add_overflow(sum, d, &sum)) {
                throw SimulationError(
                    "an operator's duration is negative or a segment is too long");
            }
            prefix_.push_back(sum);
        }
    }
    segments_.push_back(entry);
    return static_cast<SegmentId>(segments_.size() - 1);
}

void SegmentTable::repeat(SegmentId first, std::uint32_t count) {
    for (SegmentId id = first; id < first + count; ++id) segments_.push_back(segments_.at(id));
}

std::int64_t SegmentTable::carry_over(SegmentId id, std::int64_t done, int from, int to) const {
    const std::uint32_t count = operators(id);
    const std::int64_t* old_prefix = prefix(id, from);
    const std::int64_t* new_prefix = prefix(id, to);
    if (done >= old_prefix[count]) return new_prefix[count];
    // The operator in flight: the last one that starts at or before `done`.
    const auto next = std::upper_bound(old_prefix, old_prefix + count + 1, done);
    const std::ptrdiff_t i = next - old_prefix - 1;
    const std::int64_t left = old_prefix[i + 1] - done;
    const std::int64_t old_duration = old_prefix[i + 1] - old_prefix[i];
    const std::int64_t new_duration = new_prefix[i + 1] - new_prefix[i];
    return new_prefix[i + 1] - scale_up(left, new_duration, old_duration);
}

}  // namespace orrery
