#include "serving/linear_program.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace orrery {
namespace {

constexpr double kTiny = 1e-12;
constexpr int kMostPivots = 10'000;

// Each row says: basic variable = limit - row . (variables outside the basis).
template <std::size_t N>
class Table {
  public:
    explicit Table(const LinearProgram<N>& program)
        : rows_(program.rows), limits_(program.limits), gain_(program.gain) {
        for (std::size_t v = 0; v < N; ++v) outside_[v] = v;
        for (std::size_t r = 0; r < rows_.size(); ++r) basic_.push_back(N + r);
    }

    bool improve() {
        const auto column = entering();
        if (column == N) return false;
        const std::size_t row = leaving(column);
        if (row == rows_.size()) {
            gain_[column] = 0;  // nothing bounds it: left where it is
            return true;
        }
        pivot(row, column);
        return true;
    }

    std::array<double, N> solution() const {
        std::array<double, N> y{};
        for (std::size_t r = 0; r < rows_.size(); ++r) {
            if (basic_[r] < N) y[basic_[r]] = std::max(0.0, limits_[r]);
        }
        return y;
    }

  private:
    std::size_t entering() const {
        std::size_t chosen = N;
        for (std::size_t v = 0; v < N; ++v) {
            if (gain_[v] <= kTiny) continue;
            if (chosen == N || outside_[v] < outside_[chosen]) chosen = v;
        }
        return chosen;
    }
    std::size_t leaving(std::size_t column) const {
        std::size_t chosen = rows_.size();
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t r = 0; r < rows_.size(); ++r) {
            if (rows_[r][column] <= kTiny) continue;
            const double ratio = limits_[r] / rows_[r][column];
            const bool tie = chosen < rows_.size() && ratio == least;
            if (ratio < least || (tie && basic_[r] < basic_[chosen])) {
                least = ratio;
                chosen = r;
            }
        }
        return chosen;
    }
    void pivot(std::size_t row, std::size_t column) {
        const double p = rows_[row][column];
        for (double& a : rows_[row]) a /= p;
        rows_[row][column] = 1 / p;
        limits_[row] /= p;
        const auto take_out = [&](std::array<double, N>& from) {
            const double factor = std::exchange(from[column], 0.0);
            for (std::size_t v = 0; v < N; ++v) from[v] -= factor * rows_[row][v];
            return factor;
        };
        for (std::size_t r = 0; r < rows_.size(); ++r) {
            if (r != row) limits_[r] -= take_out(rows_[r]) * limits_[row];
        }
        take_out(gain_);
        std::swap(basic_[row], outside_[column]);
    }

    std::vector<std::array<double, N>> rows_;
    std::vector<double> limits_;
    std::array<double, N> gain_;
    std::array<std::size_t, N> outside_{};
    std::vector<std::size_t> basic_;
};

}  // namespace

template <std::size_t N>
std::array<double, N> maximise(const LinearProgram<N>& program) {
    Table<N> table(program);
    for (int i = 0; i < kMostPivots && table.improve(); ++i) {
    }
    std::array<double, N> y = table.solution();
    double worst = 1;
    for (std::size_t r = 0; r < program.rows.size(); ++r) {
        double sum = 0;
        for (std::size_t v = 0; v < N; ++v) sum += program.rows[r][v] * y[v];
        worst = std::max(worst, sum / program.limits[r]);
    }
    for (double& value : y) value /= worst;
    return y;
}

template std::array<double, 5> maximise(const LinearProgram<5>& program);

}  // namespace orrery
