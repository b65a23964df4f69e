#pragma once
// Measured points of one kernel family, read between the points.
//
// A point has a position in log2 of the shape and a value: measured time over model time (near 1).
// Between the points the logarithm of the value is kriged from the 32 nearest:
//   z(x) = sum l_i ln v_i,   sum l_i = 1,   weights of least variance under the covariance
//   C(x, y) = exp(-d(x, y) / 3) + [same point] / 10,   d = |scale * (x - y)|
// The second term is what does not vary smoothly: a kernel's choice of tiles, wave counts. At a
// measured point the measured value is returned exactly. Far from all points the mean of the
// nearest remains.

#include <array>
#include <cstddef>
#include <limits>
#include <vector>

namespace orrery {

class KernelTable {
  public:
    using Position = std::array<double, 4>;  // log2 of (m, n, k, groups) or the like; unused: equal
    struct Reading {
        double value = 1;
        double distance = std::numeric_limits<double>::infinity();  // to the nearest point, octaves
    };
    // scale: how far one octave along each axis separates two points.
    explicit KernelTable(Position scale = {1, 1, 1, 1}) : scale_(scale) {}
    // value > 0.
    void add(const Position& position, double value);
    std::size_t size() const { return points_.size(); }
    bool empty() const { return points_.empty(); }
    std::vector<double> values() const;

    // Value at a position; 1 where the table is empty. Of several points there the first counts.
    Reading read(const Position& position) const;
    // Relative error of every point as read from those at other positions.
    std::vector<double> leave_one_out() const;
    // Mean absolute error of that, over at most 64 points spread evenly over the table.
    double typical_error() const;

  private:
    struct Point {
        Position position;
        double value;
    };
    double square(const Position& a, const Position& b) const;  // d^2
    Reading krige(const Position& position, bool without_same) const;
    double left_out(const Point& point) const;
    Position scale_;
    std::vector<Point> points_;
};

KernelTable::Position shape_position(double m, double n, double k, double groups = 1);

// Summary of relative errors: median, 95th percentile and worst of their absolute values, and mean.
struct ErrorSummary {
    std::size_t points = 0;
    double median = 0, p95 = 0, worst = 0, mean = 0;
};
ErrorSummary summarise(std::vector<double> errors);

}  // namespace orrery
