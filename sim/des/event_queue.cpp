#include "des/event_queue.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {
namespace {

std::int64_t earliest_time(const std::vector<Event>& bucket) {
    std::int64_t earliest = std::numeric_limits<std::int64_t>::max();
    for (const Event& event : bucket) earliest = std::min(earliest, event.time_ps);
    return earliest;
}

[[noreturn]] void fail_empty() {
    throw SimulationError("the event queue is empty: there is no next event");
}

}  // namespace

void EventQueue::insert_into_run(Event event) {
    if (event.time_ps < last_popped_) {
        --size_;
        throw SimulationError(fmt::format(
            "event of kind {} for target {} scheduled in the past: {} ps, time is already {} ps",
            event.kind(), event.target, event.time_ps, last_popped_));
    }
    if (tail_ == run_.size()) make_room_at_tail();
    Event* const head = run_.data() + head_;
    Event* const tail = run_.data() + tail_;
    if (head == tail || tail[-1].time_ps <= event.time_ps) {
        *tail = event;
        ++tail_;
        return;
    }
    Event* const at = std::upper_bound(
        head, tail, event.time_ps,
        [](std::int64_t time_ps, const Event& other) { return time_ps < other.time_ps; });
    if (head_ > 0 && at - head < tail - at) {  // the shorter side makes room
        std::copy(head, at, head - 1);
        at[-1] = event;
        --head_;
    } else {
        std::copy_backward(at, tail, tail + 1);
        *at = event;
        ++tail_;
    }
    if (tail_ - head_ > kLongRun) spill_run();
}

// Sends the run back to buckets, all but the events at the current time. The base becomes the
// current time, which lies in the run's interval; so the buckets used are below all occupied ones.
void EventQueue::spill_run() {
    base_ = run_last_ = key_of(last_popped_);
    std::size_t kept = head_;
    while (kept < tail_ && run_[kept].time_ps == last_popped_) ++kept;
    for (std::size_t i = kept; i < tail_; ++i) {
        levels_ |= 1U << put(run_[i], key_of(run_[i].time_ps), base_);
    }
    tail_ = kept;
}

void EventQueue::make_room_at_tail() {
    if (head_ > 0 && head_ >= run_.size() / 2) {
        std::copy(run_.begin() + static_cast<std::ptrdiff_t>(head_), run_.end(), run_.begin());
        tail_ -= head_;
        head_ = 0;
    } else {
        run_.resize(std::max<std::size_t>(2 * run_.size(), 16));
    }
}

// Greatest key of the interval that a bucket covers.
std::uint64_t EventQueue::last_key_of(unsigned bucket) const {
    const unsigned shift = bucket / kDigits * kDigitBits;
    const std::uint64_t above = base_ >> shift >> kDigitBits << kDigitBits;
    return (above | bucket % kDigits) << shift | ((std::uint64_t{1} << shift) - 1);
}

void EventQueue::load_run() {
    if (levels_ == 0) fail_empty();
    const unsigned lowest = lowest_bucket();
    const unsigned level = lowest / kDigits;
    digits_[level] &= digits_[level] - 1;
    if (digits_[level] == 0) levels_ &= levels_ - 1;
    std::vector<Event>& bucket = buckets_[lowest];
    if (run_.size() < bucket.size()) run_.resize(std::max(2 * run_.size(), bucket.size()));
    head_ = 0;
    tail_ = 0;
    if (bucket.size() > kSmallBucket) {
        deal_out(bucket);
    } else {
        run_last_ = last_key_of(lowest);
        bucket.size() <= kTinyBucket ? sort_tiny(bucket) : sort_small(bucket);
    }
    bucket.clear();
}

// Stable sort by counting for each event those that go before it: no branch depends on the times.
void EventQueue::sort_tiny(const std::vector<Event>& bucket) {
    const std::size_t count = bucket.size();
    std::array<std::uint32_t, kTinyBucket> rank;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::int64_t time = bucket[i].time_ps;
        std::uint32_t before = i;
        for (std::uint32_t j = 0; j < i; ++j) {
            const std::uint32_t later = time < bucket[j].time_ps ? 1 : 0;
            rank[j] += later;
            before -= later;
        }
        rank[i] = before;
    }
    for (std::size_t i = 0; i < count; ++i) run_[rank[i]] = bucket[i];
    tail_ = count;
}

// Stable sort by slots of equal width, one to two for each event between the earliest and the
// latest: a counting sort brings events near their places, insertion finishes.
void EventQueue::sort_small(const std::vector<Event>& bucket) {
    const std::size_t count = bucket.size();
    std::uint64_t first = key_of(bucket[0].time_ps);
    std::uint64_t last = first;
    for (const Event& event : bucket) {
        first = std::min(first, key_of(event.time_ps));
        last = std::max(last, key_of(event.time_ps));
    }
    const int shift = std::max(0, static_cast<int>(std::bit_width(last - first)) -
                                      static_cast<int>(std::bit_width(count)));
    const auto slot_of = [&](const Event& event) {
        return (key_of(event.time_ps) - first) >> shift;
    };
    const std::size_t slots = ((last - first) >> shift) + 1;  // <= 2 * count
    std::array<std::uint32_t, 2 * kSmallBucket + 1> start;    // of each slot in the run
    std::fill_n(start.begin(), slots + 1, 0);
    for (const Event& event : bucket) ++start[slot_of(event) + 1];
    for (std::size_t i = 1; i < slots; ++i) start[i] += start[i - 1];
    for (const Event event : bucket) run_[start[slot_of(event)]++] = event;
    tail_ = count;
    if (shift == 0) return;  // a slot holds ties only
    for (std::size_t i = 1; i < count; ++i) {
        const Event event = run_[i];
        std::size_t at = i;
        for (; at > 0 && run_[at - 1].time_ps > event.time_ps; --at) run_[at] = run_[at - 1];
        run_[at] = event;
    }
}

// The bucket's earliest events become the run, the others go to lower levels.
void EventQueue::deal_out(const std::vector<Event>& bucket) {
    const std::int64_t earliest = earliest_time(bucket);
    const std::uint64_t base = key_of(earliest);
    std::uint32_t levels = 0;
    for (const Event event : bucket) {
        if (event.time_ps == earliest) {
            run_[tail_++] = event;
        } else {
            levels |= 1U << put(event, key_of(event.time_ps), base);
        }
    }
    levels_ |= levels;
    base_ = run_last_ = base;
}

std::int64_t EventQueue::top_time_of_buckets() const {
    if (levels_ == 0) fail_empty();
    return earliest_time(buckets_[lowest_bucket()]);
}

bool EventQueue::due_in_buckets(std::int64_t time_ps) const {
    if (levels_ == 0) return false;
    const unsigned lowest = lowest_bucket();
    return last_key_of(lowest) <= key_of(time_ps) || earliest_time(buckets_[lowest]) <= time_ps;
}

}  // namespace orrery
