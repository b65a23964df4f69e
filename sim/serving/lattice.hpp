#pragma once
// Lazily filled tables between whose points is read linearly.
//
// Points of an axis: every integer up to 2 n, from there on n an octave, round(2^(i / n)), so that
// a cell spans 2^(1/n) - 1 of its value. Reading at a point gives the point's value exactly.
//
// Rows of matrices go by tiles: kernels' times step up behind multiples of 64 or 128 and are nearly
// flat up to the next. A step cell is [k g + 1, (k + 1) g] with g dividing the tiles, so that no
// step lies inside: g = 8 up to 256 rows, 16 to 512, 32 to 2048, 64 to 8192, 128 beyond.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace orrery {

// The cell of x on an axis of n points an octave: x = low + share (high - low), 0 <= share < 1.
struct AxisCell {
    std::int64_t low = 0, high = 0;
    double share = 0;
};
inline AxisCell axis_cell(double x, int per_octave) {
    const auto exact = static_cast<std::int64_t>(std::floor(x));
    if (x <= 2.0 * per_octave) {
        const double share = x - static_cast<double>(exact);
        return {exact, share > 0 ? exact + 1 : exact, share};
    }
    const double n = per_octave;
    const auto point = [&](std::int64_t i) {
        return std::llround(std::exp2(static_cast<double>(i) / n));
    };
    auto i = static_cast<std::int64_t>(std::floor(std::log2(x) * n));
    while (static_cast<double>(point(i)) > x) --i;
    while (static_cast<double>(point(i + 1)) <= x) ++i;
    const std::int64_t low = std::max<std::int64_t>(point(i), 2 * per_octave), high = point(i + 1);
    const double share = (x - static_cast<double>(low)) / static_cast<double>(high - low);
    return {low, share > 0 ? high : low, share};
}

inline AxisCell step_cell(double x) {
    const auto rows = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(x)));
    std::int64_t g = 8;
    for (const std::int64_t most : {256, 512, 2048, 8192}) {
        if (rows > most) g = most == 512 ? 32 : 2 * g;
    }
    const std::int64_t low = (rows - 1) / g * g + 1;
    if (rows == low) return {low, low, 0};
    return {low, low + g - 1, static_cast<double>(rows - low) / static_cast<double>(g - 1)};
}

// Multilinear reading of value(corner), `value` called with one integer an axis.
template <std::size_t N, class Value>
auto read_lattice(const std::array<AxisCell, N>& cells, const Value& value) {
    using Result = decltype(value(std::array<std::int64_t, N>{}));
    Result sum{};
    for (std::size_t corner = 0; corner < (std::size_t{1} << N); ++corner) {
        std::array<std::int64_t, N> at{};
        double weight = 1;
        for (std::size_t i = 0; i < N; ++i) {
            const bool high = (corner >> i) & 1;
            at[i] = high ? cells[i].high : cells[i].low;
            weight *= high ? cells[i].share : 1 - cells[i].share;
        }
        if (weight != 0) sum += value(at) * weight;
    }
    return sum;
}

}  // namespace orrery
