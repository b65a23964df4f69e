#pragma once
// The pending events, earliest first; events at the same time leave in the order they came.
//
// A monotone radix heap. Write times as unsigned 64-bit keys of 16 hexadecimal digits. Relative to
// a base key b <= every pending key, an event with key k > b waits in bucket (l, d): l is the
// highest digit position in which k and b differ, d is k's digit there. Then
//   * the lowest non-empty bucket, by l and then d, holds the earliest event;
//   * all keys of bucket (l, d) agree in the digits above l: the bucket covers one interval.
// The front run is a sorted array that covers one interval up to run_last_ and precedes every
// bucket. When it is used up, the lowest bucket becomes the front run: a small one is sorted into
// it (in linear time where its times are spread evenly); a large one is dealt out with its minimum
// as the new base, which sends every event to a lower level, so an event moves at most 16 times
// (about twice at 2,048 pending). Buckets above keep their places, because the new base agrees with
// the old one in all digits above l.
//
// Order among ties: a bucket index is a function of (key, base) alone, so events of equal time
// always wait in the same bucket or in the run, appended in order of arrival; dealing out walks a
// bucket from front to back, the sorts are stable, and a push into the run goes behind its equals.
//
// Left out: removal. See Event::generation().

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "des/event.hpp"

namespace orrery {

class EventQueue {
  public:
    // Adds an event. Throws SimulationError where its time is before the last popped one.
    void push(Event event) {
        ++size_;
        const std::uint64_t key = key_of(event.time_ps);
        if (key <= run_last_) {
            insert_into_run(event);
        } else {
            levels_ |= 1U << put(event, key, base_);
        }
    }
    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }

    // Time of the event that pop() would return. Throws SimulationError where the queue is empty.
    // Leaves the queue as it is: an earlier time may still be pushed.
    std::int64_t top_time() const {
        return head_ != tail_ ? run_[head_].time_ps : top_time_of_buckets();
    }
    // Whether an event is due at or before `time_ps`. Like top_time(), but mostly without a search.
    bool due(std::int64_t time_ps) const {
        return head_ != tail_ ? run_[head_].time_ps <= time_ps : due_in_buckets(time_ps);
    }
    // Removes and returns the earliest event. Throws SimulationError where the queue is empty.
    Event pop() {
        if (head_ == tail_) load_run();
        --size_;
        const Event event = run_[head_++];
        last_popped_ = event.time_ps;
        return event;
    }
    // Removes the next event at the time of the last pop() into `event`; false where there is none.
    // Constant time: all of them stand at the head of the front run.
    bool pop_tie(Event& event) {
        if (head_ == tail_ || run_[head_].time_ps != last_popped_) return false;
        --size_;
        event = run_[head_++];
        return true;
    }

    // Events that fit into the front run without allocation.
    std::size_t run_capacity() const { return run_.size(); }

  private:
    static constexpr unsigned kDigitBits = 4;
    static constexpr unsigned kLevels = 64 / kDigitBits;
    static constexpr unsigned kDigits = 1U << kDigitBits;
    static constexpr std::size_t kTinyBucket = 8;     // sorted by counting predecessors, up to here
    static constexpr std::size_t kSmallBucket = 128;  // sorted by slots; above, dealt out
    static constexpr std::size_t kLongRun = 512;      // insertion stops being cheap

    // Maps signed order to unsigned order.
    static constexpr std::uint64_t key_of(std::int64_t time_ps) {
        return static_cast<std::uint64_t>(time_ps) ^ (std::uint64_t{1} << 63);
    }
    // Appends to the event's bucket relative to `base` < key; returns its level.
    unsigned put(Event event, std::uint64_t key, std::uint64_t base) {
        const unsigned level = static_cast<unsigned>(std::bit_width(key ^ base) - 1) / kDigitBits;
        const unsigned digit = (key >> (level * kDigitBits)) & (kDigits - 1);
        buckets_[level * kDigits + digit].push_back(event);
        digits_[level] |= 1U << digit;
        return level;
    }
    void insert_into_run(Event event);
    void spill_run();
    void make_room_at_tail();
    void load_run();
    void sort_tiny(const std::vector<Event>& bucket);
    void sort_small(const std::vector<Event>& bucket);
    void deal_out(const std::vector<Event>& bucket);
    // Index of the lowest non-empty bucket; there must be one.
    unsigned lowest_bucket() const {
        const unsigned level = static_cast<unsigned>(std::countr_zero(levels_));
        return level * kDigits + static_cast<unsigned>(std::countr_zero(digits_[level]));
    }
    std::uint64_t last_key_of(unsigned bucket) const;
    std::int64_t top_time_of_buckets() const;
    bool due_in_buckets(std::int64_t time_ps) const;

    std::vector<Event> run_;      // front run: [head_, tail_) sorted by time, stable
    std::size_t head_ = 0;        // next event to pop
    std::size_t tail_ = 0;        // one past the last
    std::uint64_t run_last_ = 0;  // greatest key that belongs into the run
    std::uint64_t base_ = 0;      // bucket indices are relative to it; base_ <= run_last_
    std::int64_t last_popped_ = std::numeric_limits<std::int64_t>::min();
    std::size_t size_ = 0;
    std::uint32_t levels_ = 0;                       // bit l: some bucket of level l is not empty
    std::uint32_t digits_[kLevels] = {};             // bit d of word l: bucket (l, d) is not empty
    std::vector<Event> buckets_[kLevels * kDigits];  // capacity is kept: no allocation once warm
};

}  // namespace orrery
