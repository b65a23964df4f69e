#pragma once
// Requests that wait for admission: first those that were preempted or retried, then by level, the
// highest first, in order of arrival within one.

#include <array>
#include <cstdint>
#include <vector>

namespace orrery {

class WaitingQueue {
  public:
    static constexpr int kLevels = 8;

    bool empty() const { return size_ == 0; }
    std::int64_t size() const { return size_; }

    void push(std::uint32_t sequence, int level) {
        levels_[static_cast<std::size_t>(level)].push(sequence);
        ++size_;
    }
    // Before all others; the last one put there is first.
    void push_front(std::uint32_t sequence) {
        front_.push_back(sequence);
        ++size_;
    }
    std::uint32_t top() const {
        return front_.empty() ? levels_[top_level()].first() : front_.back();
    }
    // Of top(); -1: it was put in front.
    int level() const { return front_.empty() ? static_cast<int>(top_level()) : -1; }
    void pop() {
        if (front_.empty()) {
            levels_[top_level()].pop();
        } else {
            front_.pop_back();
        }
        --size_;
    }
    template <class Visit>
    void for_each(const Visit& visit) const {
        for (const std::uint32_t sequence : front_) visit(sequence);
        for (const Ring& ring : levels_) ring.for_each(visit);
    }
    void clear() { *this = WaitingQueue(); }

  private:
    // A queue in a vector whose used-up beginning is cut off now and then.
    struct Ring {
        std::vector<std::uint32_t> items = {};
        std::size_t head = 0;
        bool empty() const { return head == items.size(); }
        std::uint32_t first() const { return items[head]; }
        void push(std::uint32_t item) {
            if (head > 64 && head * 2 > items.size()) {
                items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(head));
                head = 0;
            }
            items.push_back(item);
        }
        void pop() {
            if (++head == items.size()) {
                items.clear();
                head = 0;
            }
        }
        template <class Visit>
        void for_each(const Visit& visit) const {
            for (std::size_t i = head; i < items.size(); ++i) visit(items[i]);
        }
    };
    std::size_t top_level() const {
        std::size_t level = kLevels - 1;
        while (levels_[level].empty()) --level;
        return level;
    }

    std::array<Ring, kLevels> levels_;
    std::vector<std::uint32_t> front_;
    std::int64_t size_ = 0;
};

}  // namespace orrery
