#include "kernels/elementwise.hpp"

#include "gpu_test.hpp"

namespace orrery::kernels {
namespace {

using Elementwise = GpuTest;

TEST_F(Elementwise, AddCopyZeroAtOddSizes) {
    for (const std::size_t n : {8, 8200, 100000}) {
        const auto a = normal_bf16(n), b = normal_bf16(n);
        std::vector<double> sum(n);
        for (std::size_t i = 0; i < n; ++i) sum[i] = value(a[i]) + value(b[i]);
        const OnDevice<Bf16> dev_a(a), dev_b(b), y(n), copied(n);
        add(dev_a.get(), dev_b.get(), y.get(), std::int64_t(n), nullptr);
        copy_bytes(dev_a.get(), copied.get(), std::int64_t(n) * 2, nullptr);
        zero_bytes(dev_b.get(), std::int64_t(n) * 2, nullptr);
        EXPECT_LT(relative_error(y.host(), sum), 4e-3);
        const auto c = copied.host(), z = dev_b.host();
        for (std::size_t i = 0; i < n; ++i) {
            ASSERT_EQ(value(c[i]), value(a[i]));
            ASSERT_EQ(value(z[i]), 0.0);
        }
    }
}

TEST_F(Elementwise, RopeRotatesTheLast64OfEachHead) {
    const std::size_t tokens = 5, heads = 7, stride = 192;
    const auto x = normal_bf16(tokens * heads * stride);
    std::vector<float> cosine, sine;
    for (const float a : uniform(tokens * 32, 0, 6)) {
        cosine.push_back(std::cos(a));
        sine.push_back(std::sin(a));
    }
    std::vector<double> expected;
    for (const Bf16 v : x) expected.push_back(value(v));
    for (std::size_t h = 0; h < tokens * heads; ++h)
        for (std::size_t i = 0; i < 32; ++i) {
            const std::size_t at = h * stride + 128 + 2 * i, angle = h / heads * 32 + i;
            const double even = value(x[at]), odd = value(x[at + 1]);
            expected[at] = even * double(cosine[angle]) - odd * double(sine[angle]);
            expected[at + 1] = even * double(sine[angle]) + odd * double(cosine[angle]);
        }
    const OnDevice<Bf16> dev(x);
    const OnDevice<float> dev_cos(cosine), dev_sin(sine);
    rope(dev.get(), dev_cos.get(), dev_sin.get(), tokens, heads, stride, nullptr);
    EXPECT_LT(relative_error(dev.host(), expected), 4e-3);
}

TEST_F(Elementwise, SumOfSquaresAddsUp) {
    const std::size_t n = 1000004;
    const auto x = uniform(n, -1, 1);
    double expected = 3;
    for (const float v : x) expected += double(v) * double(v);
    const OnDevice<float> dev(x), result(std::vector<float>{3});
    add_squares(dev.get(), result.get(), n, nullptr);
    EXPECT_NEAR(double(result.host()[0]), expected, 1e-4 * expected);
}

TEST_F(Elementwise, AdamWStep) {
    const std::size_t n = 4100;
    const auto w = uniform(n, -1, 1), g = uniform(n, -1e-2f, 1e-2f);
    const auto m = normal_bf16(n, 1e-2f);
    std::vector<Bf16> v;
    for (const float f : uniform(n, 1e-6f, 1e-4f)) v.push_back(__float2bfloat16(f));
    const AdamW a{1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 7};
    std::vector<double> new_w(n), new_m(n), new_v(n);
    for (std::size_t i = 0; i < n; ++i) {
        new_m[i] = 0.9 * value(m[i]) + 0.1 * double(g[i]);
        new_v[i] = 0.95 * value(v[i]) + 0.05 * double(g[i]) * double(g[i]);
        const double update = new_m[i] / (1 - std::pow(0.9, 7)) /
                              (std::sqrt(new_v[i] / (1 - std::pow(0.95, 7))) + 1e-8);
        new_w[i] = double(w[i]) - 1e-3 * (update + 0.1 * double(w[i]));
    }
    const OnDevice<float> dev_w(w), dev_g(g);
    const OnDevice<Bf16> dev_m(m), dev_v(v), out(n);
    adamw(dev_w.get(), dev_g.get(), dev_m.get(), dev_v.get(), out.get(), n, a, nullptr);
    EXPECT_LT(relative_error(dev_w.host(), new_w), 1e-5);
    EXPECT_LT(relative_error(dev_m.host(), new_m), 4e-3);
    EXPECT_LT(relative_error(dev_v.host(), new_v), 4e-3);
    EXPECT_LT(relative_error(out.host(), new_w), 4e-3);
}

}  // namespace
}  // namespace orrery::kernels
