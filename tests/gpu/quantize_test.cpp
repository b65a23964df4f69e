#include "kernels/quantize.hpp"

#include <algorithm>

#include "gpu_test.hpp"
#include "kernels/swiglu.hpp"

namespace orrery::kernels {
namespace {

using Quantize = GpuTest;

// Largest |v| of group g (128 values `stride` apart from `first`) over 448.
double scale_of(const std::vector<double>& v, std::size_t first, std::size_t stride) {
    double amax = 1e-10;
    for (std::size_t i = 0; i < 128; ++i) amax = std::max(amax, std::abs(v[first + i * stride]));
    return amax / 448;
}
// E4M3 keeps 4 significant bits: half a unit in the last place is 1/16 of the value, and 2^-10
// below the smallest normal number, in units of the scale.
void expect_near_e4m3(double got, double expected, double scale) {
    EXPECT_NEAR(got, expected, std::abs(expected) / 16 + scale * 0x1p-10 + 1e-7 * scale);
}
std::vector<double> doubles(const std::vector<Bf16>& v) {
    std::vector<double> d;
    for (const Bf16 x : v) d.push_back(value(x));
    return d;
}

TEST_F(Quantize, PerTokenCastAndBack) {
    for (const std::size_t columns : {128, 512, 1536}) {
        const std::size_t rows = 24;
        const auto x = normal_bf16(rows * columns, 3);
        const auto expected = doubles(x);
        const OnDevice<Bf16> dev(x), back(rows * columns);
        const OnDevice<std::uint8_t> q(rows * columns);
        const OnDevice<float> scales(rows * columns / 128);
        cast_fp8(dev.get(), q.get(), scales.get(), rows, std::int64_t(columns), nullptr);
        cast_back(q.get(), scales.get(), back.get(), rows, std::int64_t(columns), nullptr);
        const auto bytes = q.host();
        const auto s = scales.host();
        std::vector<double> through;
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t c = 0; c < columns; ++c) {
                const std::size_t at = r * columns + c, group = c / 128;
                const double scale = scale_of(expected, r * columns + group * 128, 1);
                EXPECT_NEAR(double(s[group * rows + r]), scale, 1e-6 * scale);
                expect_near_e4m3(e4m3_value(bytes[at]) * scale, expected[at], scale);
                through.push_back(e4m3_value(bytes[at]) * double(s[group * rows + r]));
            }
        EXPECT_LT(relative_error(back.host(), through), 3e-3);
    }
}

TEST_F(Quantize, PerChannelCastTransposes) {
    const std::size_t rows = 256, columns = 192;
    const auto x = normal_bf16(rows * columns, 3);
    const auto expected = doubles(x);
    const OnDevice<Bf16> dev(x);
    const OnDevice<std::uint8_t> q(rows * columns);
    const OnDevice<float> scales(rows / 128 * columns);
    cast_transpose(dev.get(), q.get(), scales.get(), rows, columns, nullptr);
    const auto bytes = q.host();
    const auto s = scales.host();
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < columns; ++c) {
            const double scale = scale_of(expected, r / 128 * 128 * columns + c, columns);
            EXPECT_NEAR(double(s[r / 128 * columns + c]), scale, 1e-6 * scale);
            expect_near_e4m3(e4m3_value(bytes[c * rows + r]) * scale, expected[r * columns + c],
                             scale);
        }
}

TEST_F(Quantize, TransposesBytes) {
    const std::size_t rows = 256, columns = 384;
    std::vector<std::uint8_t> x(rows * columns);
    for (std::uint8_t& v : x) v = std::uint8_t(random_());
    const OnDevice<std::uint8_t> dev(x), y(rows * columns);
    transpose_bytes(dev.get(), y.get(), rows, columns, nullptr);
    const auto out = y.host();
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < columns; ++c)
            ASSERT_EQ(out[c * rows + r], x[r * columns + c]) << r << " " << c;
}

double sigmoid(double g) { return 1 / (1 + std::exp(-g)); }

TEST_F(Quantize, SwigluForwardAndBackward) {
    const std::size_t rows = 40, columns = 640;
    const auto in = normal_bf16(rows * columns * 2), dh = normal_bf16(rows * columns);
    std::vector<double> h(rows * columns), d_in(rows * columns * 2);
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < columns; ++c) {
            const std::size_t gate = r * 2 * columns + c, up = gate + columns, at = r * columns + c;
            const double g = value(in[gate]), u = value(in[up]), s = sigmoid(g), d = value(dh[at]);
            h[at] = g * s * u;
            d_in[gate] = d * u * (s + g * s * (1 - s));
            d_in[up] = d * g * s;
        }
    const OnDevice<Bf16> dev(in), dev_dh(dh), gradient(rows * columns * 2);
    const OnDevice<std::uint8_t> q(rows * columns);
    const OnDevice<float> scales(rows * columns / 128);
    swiglu(dev.get(), q.get(), scales.get(), rows, columns, nullptr);
    swiglu_backward(dev_dh.get(), dev.get(), gradient.get(), rows, columns, nullptr);
    const auto bytes = q.host();
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < columns; ++c) {
            const double scale = scale_of(h, r * columns + c / 128 * 128, 1);
            expect_near_e4m3(e4m3_value(bytes[r * columns + c]) * scale, h[r * columns + c], scale);
        }
    EXPECT_LT(relative_error(gradient.host(), d_in), 4e-3);
}

}  // namespace
}  // namespace orrery::kernels
