#pragma once
// Work with an earliest start and a deadline, and the rate that it asks for:
//
//   rate >= (sum of work in [s, x] - the k dearest pieces) / (x - s)   for every window [s, x]
//
// Starts and deadlines are gathered in bins; windows go from bin to bin, so each holds only work
// that lies inside, and all of it counts in the widest.

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

namespace orrery {

class WindowWork {
  public:
    // Starts lie in [begin, last_start], deadlines up to last_deadline. `left_out`: pieces.
    WindowWork(double begin, double last_start, double last_deadline, std::int64_t left_out);

    // A piece that takes at least `work`; if it is left out, at most `most` goes with it.
    void add(double start, double deadline, double work, double most);

    struct Window {
        double work = 0, length = 0;
        double rate() const { return length > 0 ? work / length : 0; }
    };
    // The window of the highest rate, work in all of them reduced by `margin`, a share.
    Window tightest(double margin) const;

  private:
    double begin_, start_step_, deadline_step_;
    std::size_t left_out_;
    std::vector<double> cells_;  // start bin x deadline bins + deadline bin
    std::priority_queue<double, std::vector<double>, std::greater<>> dearest_;
    double dearest_sum_ = 0;
};

}  // namespace orrery
