#include "kernels/grouped_gemm.hpp"

#include <algorithm>
#include <numeric>

#include "gpu_test.hpp"

namespace orrery::kernels {
namespace {

// The reference is the definition in double over the dequantised operands:
//   y[r, c] = sum_kb xs[kb, r] ws[c / 128, kb] sum_{k in kb} x[r, k] w[c, k].
// BF16 output alone is 1.7e-3 off (half a unit in the 8th bit, uniform: 2^-8 / sqrt(12) / 0.7);
// FP32 output shows the tensor core's own sum of 128 products, about 1.3e-4.
constexpr double kBf16Bound = 2.5e-3, kFp32Bound = 4e-4;

class GroupedGemm : public GpuTest {
  protected:
    // E4M3 of every magnitude: deviation 112, four deviations reach 448.
    std::vector<std::uint8_t> operand(std::size_t n) {
        std::normal_distribution<float> d(0, 112);
        std::vector<std::uint8_t> v(n);
        for (auto& b : v) b = __nv_cvt_float_to_fp8(d(random_), __NV_SATFINITE, __NV_E4M3);
        return v;
    }
    std::vector<float> scales(std::size_t n) { return uniform(n, 0.5f, 2.f); }
};

struct Sizes {
    int n, k;
    int row_stride() const { return (k / 128 + 3) / 4 * 4; }  // of the weights' scales
};

// x dequantised: scale of row r, block kb at [kb * leading + r].
std::vector<double> by_rows(const std::vector<std::uint8_t>& q, const std::vector<float>& s,
                            std::size_t rows, std::size_t k) {
    std::vector<double> v(q.size());
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t i = 0; i < k; ++i)
            v[r * k + i] = e4m3_value(q[r * k + i]) * double(s[i / 128 * rows + r]);
    return v;
}
std::vector<double> by_blocks(const std::vector<std::uint8_t>& q, const std::vector<float>& s,
                              int groups, Sizes z) {
    std::vector<double> v(q.size());
    for (std::size_t i = 0; i < q.size(); ++i) {
        const std::size_t row = i / std::size_t(z.k), column = i % std::size_t(z.k);
        v[i] = e4m3_value(q[i]) * double(s[row / 128 * std::size_t(z.row_stride()) + column / 128]);
    }
    EXPECT_EQ(q.size(), std::size_t(groups) * std::size_t(z.n) * std::size_t(z.k));
    return v;
}
double dot(const double* a, const double* b, int from, int to) {
    return std::inner_product(a + from, a + to, b + from, 0.0);
}

const GroupedTiling kTilings[] = {{0, 0, 0},   {0, 128, 1}, {0, 128, 2},
                                  {0, 256, 1}, {0, 256, 2}, {6, 256, 2}};

// Groups of one and several tiles, an odd number of 128 rows, and an empty one.
TEST_F(GroupedGemm, Contiguous) {
    for (const Sizes z : {Sizes{256, 384}, Sizes{384, 128}, Sizes{512, 1152}}) {
        const std::vector<std::int32_t> offsets{0, 128, 512, 512, 768};
        const std::size_t rows = 768, n = std::size_t(z.n), k = std::size_t(z.k);
        const auto x = operand(rows * k), w = operand(4 * n * k);
        const auto xs = scales(rows * k / 128),
                   ws = scales(4 * n / 128 * std::size_t(z.row_stride()));
        const auto xd = by_rows(x, xs, rows, k), wd = by_blocks(w, ws, 4, z);
        std::vector<double> expected(rows * n);
        for (std::size_t g = 0; g < 4; ++g)
            for (auto r = std::size_t(offsets[g]); r < std::size_t(offsets[g + 1]); ++r)
                for (std::size_t c = 0; c < n; ++c)
                    expected[r * n + c] = dot(&xd[r * k], &wd[(g * n + c) * k], 0, z.k);
        const OnDevice<std::uint8_t> dx(x), dw(w);
        const OnDevice<float> dxs(xs), dws(ws);
        const OnDevice<std::int32_t> at(offsets);
        for (const GroupedTiling& t : kTilings) {
            const OnDevice<Bf16> y(rows * n);
            ASSERT_EQ(grouped_gemm_contiguous(dx.get(), dxs.get(), dw.get(), dws.get(), y.get(),
                                              at.get(), 768, {4, z.n, z.k}, t, nullptr),
                      cudaSuccess);
            EXPECT_LT(relative_error(y.host(), expected), kBf16Bound)
                << t.tile_rows << " rows, cluster " << t.cluster << ", k " << z.k;
        }
    }
}

// Rows past a group's count keep what was there.
TEST_F(GroupedGemm, Masked) {
    const Sizes z{256, 640};
    const std::vector<std::int32_t> counts{1, 320, 0, 131};
    const std::size_t capacity = 320, rows = 4 * capacity, n = 256, k = 640;
    const auto x = operand(rows * k), w = operand(4 * n * k);
    const auto xs = scales(rows * k / 128), ws = scales(4 * n / 128 * std::size_t(z.row_stride()));
    const auto xd = by_rows(x, xs, rows, k), wd = by_blocks(w, ws, 4, z);
    const std::vector<Bf16> before = normal_bf16(rows * n);
    const OnDevice<std::uint8_t> dx(x), dw(w);
    const OnDevice<float> dxs(xs), dws(ws);
    const OnDevice<std::int32_t> at(counts);
    for (const GroupedTiling& t : kTilings) {
        const OnDevice<Bf16> y(before);
        ASSERT_EQ(grouped_gemm_masked(dx.get(), dxs.get(), dw.get(), dws.get(), y.get(), at.get(),
                                      std::int64_t(capacity), {4, z.n, z.k}, t, nullptr),
                  cudaSuccess);
        std::vector<Bf16> got;
        std::vector<double> expected;
        const auto out = y.host();
        for (std::size_t i = 0; i < rows * n; ++i) {
            const std::size_t r = i / n, g = r / capacity;
            if (r % capacity < std::size_t(counts[g])) {
                got.push_back(out[i]);
                expected.push_back(dot(&xd[r * k], &wd[(g * n + i % n) * k], 0, z.k));
            } else {
                ASSERT_EQ(value(out[i]), value(before[i])) << "row " << r;
            }
        }
        EXPECT_LT(relative_error(got, expected), kBf16Bound)
            << t.tile_rows << " rows, cluster " << t.cluster;
    }
}

// A group without rows writes zeros, or adds nothing.
TEST_F(GroupedGemm, KGrouped) {
    const std::size_t m = 384, n = 256, k = 768, groups = 4;
    const std::vector<std::int32_t> offsets{0, 128, 128, 512, 768};
    const auto a = operand(m * k), b = operand(n * k);
    const auto as = scales(m * k / 128), bs = scales(n * k / 128);
    const auto ad = by_rows(a, as, m, k), bd = by_rows(b, bs, n, k);
    std::vector<double> expected(groups * m * n);
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const std::size_t g = i / (m * n), r = i / n % m, c = i % n;
        expected[i] = dot(&ad[r * k], &bd[c * k], offsets[g], offsets[g + 1]);
    }
    const OnDevice<std::uint8_t> da(a), db(b);
    const OnDevice<float> das(as), dbs(bs);
    const OnDevice<std::int32_t> at(offsets);
    for (const GroupedTiling& t : kTilings) {
        const OnDevice<float> y(expected.size());
        for (int times = 1; times <= 3; ++times) {
            ASSERT_EQ(grouped_gemm_k_grouped(da.get(), das.get(), db.get(), dbs.get(), y.get(),
                                             at.get(), std::int64_t(m), times > 1,
                                             {4, std::int64_t(n), std::int64_t(k)}, t, nullptr),
                      cudaSuccess);
            auto sum = expected;
            for (double& v : sum) v *= times;
            EXPECT_LT(relative_error(y.host(), sum), kFp32Bound)
                << t.tile_rows << " rows, cluster " << t.cluster << ", call " << times;
        }
    }
}

TEST_F(GroupedGemm, RefusesSizesItDoesNotTake) {
    const OnDevice<float> none(1);
    const auto call = [&](std::int64_t n, std::int64_t k) {
        return grouped_gemm_contiguous(nullptr, none.get(), nullptr, none.get(), nullptr, nullptr,
                                       128, {1, n, k}, {}, nullptr);
    };
    EXPECT_EQ(call(192, 256), cudaErrorInvalidValue);
    EXPECT_EQ(call(256, 200), cudaErrorInvalidValue);
}

}  // namespace
}  // namespace orrery::kernels
