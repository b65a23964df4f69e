#pragma once
// Slow, obviously right event queues: twins for tests and benchmarks of EventQueue.

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "des/event.hpp"

namespace orrery {

// Equal keys of a multimap keep their order of insertion (C++11 [associative.reqmts]).
class MultimapQueue {
  public:
    void push(Event event) { events_.emplace(event.time_ps, event); }
    bool empty() const { return events_.empty(); }
    std::size_t size() const { return events_.size(); }
    std::int64_t top_time() const { return events_.begin()->first; }
    Event pop() {
        const Event event = events_.begin()->second;
        events_.erase(events_.begin());
        return event;
    }

  private:
    std::multimap<std::int64_t, Event> events_;
};

// 4-ary heap on (time, number of the push).
class FourAryHeapQueue {
  public:
    void push(Event event) {
        entries_.push_back({event, pushes_++});
        for (std::size_t i = entries_.size() - 1; i > 0; i = (i - 1) / 4) {
            if (!before(i, (i - 1) / 4)) break;
            std::swap(entries_[i], entries_[(i - 1) / 4]);
        }
    }
    bool empty() const { return entries_.empty(); }
    std::size_t size() const { return entries_.size(); }
    std::int64_t top_time() const { return entries_.front().event.time_ps; }
    Event pop() {
        const Event event = entries_.front().event;
        entries_.front() = entries_.back();
        entries_.pop_back();
        for (std::size_t i = 0;;) {
            std::size_t least = i;
            for (std::size_t child = 4 * i + 1; child <= 4 * i + 4; ++child) {
                if (child < entries_.size() && before(child, least)) least = child;
            }
            if (least == i) return event;
            std::swap(entries_[i], entries_[least]);
            i = least;
        }
    }

  private:
    struct Entry {
        Event event;
        std::uint64_t push;
    };
    bool before(std::size_t a, std::size_t b) const {
        const Entry& x = entries_[a];
        const Entry& y = entries_[b];
        if (x.event.time_ps != y.event.time_ps) return x.event.time_ps < y.event.time_ps;
        return x.push < y.push;
    }
    std::vector<Entry> entries_;
    std::uint64_t pushes_ = 0;
};

}  // namespace orrery
