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
    std::size_t at = tail_++;
    for (; at > head_ && run_[at - 1].time_ps > event.time_ps; --at) run_[at] = run_[at - 1];
    run_[at] = event;
    const bool appended = at + 1 == tail_;
    if (!appended && tail_ - head_ > kLongRun) spill_run();
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
        run_.resize(std::max(2 * run_.size(), kSmallBucket));
    }
}

void EventQueue::load_run() {
    if (levels_ == 0) fail_empty();
    const unsigned level = static_cast<unsigned>(std::countr_zero(levels_));
    const unsigned digit = static_cast<unsigned>(std::countr_zero(digits_[level]));
    digits_[level] &= digits_[level] - 1;
    if (digits_[level] == 0) levels_ &= levels_ - 1;
    std::vector<Event>& bucket = buckets_[level * kDigits + digit];
    if (run_.size() < bucket.size()) run_.resize(std::max(2 * run_.size(), bucket.size()));
    head_ = 0;
    tail_ = 0;
    if (bucket.size() <= kSmallBucket) {
        const unsigned shift = level * kDigitBits;
        const std::uint64_t above = base_ >> shift >> kDigitBits << kDigitBits;
        run_last_ = (above | digit) << shift | ((std::uint64_t{1} << shift) - 1);
        sort_into_run(bucket);
    } else {
        deal_out(bucket);
    }
    bucket.clear();
}

// Stable sort by counting for each event those that go before it: no branch depends on the times.
void EventQueue::sort_into_run(const std::vector<Event>& bucket) {
    const std::size_t count = bucket.size();
    std::array<std::uint32_t, kSmallBucket> rank;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::int64_t time = bucket[i].time_ps;
        std::uint32_t before = i;
        for (std::uint32_t j = 0; j < i; ++j) {
            const std::uint32_t earlier = time < bucket[j].time_ps ? 1 : 0;
            rank[j] += earlier;
            before -= earlier;
        }
        rank[i] = before;
    }
    for (std::size_t i = 0; i < count; ++i) run_[rank[i]] = bucket[i];
    tail_ = count;
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
    const unsigned level = static_cast<unsigned>(std::countr_zero(levels_));
    const unsigned digit = static_cast<unsigned>(std::countr_zero(digits_[level]));
    return earliest_time(buckets_[level * kDigits + digit]);
}

}  // namespace orrery
