#include "serving/window_work.hpp"

#include <algorithm>

namespace orrery {
namespace {

constexpr std::size_t kStarts = 64, kDeadlines = 256;  // bins
constexpr double kShortest = 1e-9;                     // s

std::size_t bin_of(double offset, double step, std::size_t bins) {
    const double bin = offset / step;
    return bin <= 0 ? 0 : std::min(bins - 1, static_cast<std::size_t>(bin));
}

}  // namespace

WindowWork::WindowWork(double begin, double last_start, double last_deadline, std::int64_t left_out)
    : begin_(begin),
      start_step_(std::max(kShortest, (last_start - begin) / static_cast<double>(kStarts))),
      deadline_step_(
          std::max(kShortest, (last_deadline - begin) / static_cast<double>(kDeadlines))),
      left_out_(static_cast<std::size_t>(std::max<std::int64_t>(0, left_out))),
      cells_(kStarts * kDeadlines) {}

void WindowWork::add(double start, double deadline, double work, double most) {
    const std::size_t s = bin_of(start - begin_, start_step_, kStarts);
    const std::size_t x = bin_of(deadline - begin_, deadline_step_, kDeadlines);
    cells_[s * kDeadlines + x] += work;
    if (left_out_ == 0 || most <= 0) return;
    dearest_.push(most);
    dearest_sum_ += most;
    if (dearest_.size() <= left_out_) return;
    dearest_sum_ -= dearest_.top();
    dearest_.pop();
}

WindowWork::Window WindowWork::tightest(double margin) const {
    Window best;
    std::vector<double> later(kDeadlines, 0);  // by deadline bin, of this start bin and later ones
    for (std::size_t s = kStarts; s-- > 0;) {
        double sum = -dearest_sum_;
        for (std::size_t x = 0; x < kDeadlines; ++x) {
            later[x] += cells_[s * kDeadlines + x];
            sum += later[x];
            const double from = static_cast<double>(s) * start_step_;
            const double to = static_cast<double>(x + 1) * deadline_step_;
            if (to <= from) continue;
            const Window window{sum * (1 - margin), to - from};
            if (window.rate() > best.rate()) best = window;
        }
    }
    return best;
}

}  // namespace orrery
