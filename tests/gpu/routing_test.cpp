#include "kernels/routing.hpp"

#include <algorithm>
#include <numeric>

#include "gpu_test.hpp"

namespace orrery::kernels {
namespace {

using Routing = GpuTest;

// Indices of the `count` largest values, ties to the lower index.
std::vector<int> largest(const std::vector<double>& v, std::size_t count) {
    std::vector<int> index(v.size());
    std::iota(index.begin(), index.end(), 0);
    std::stable_sort(index.begin(), index.end(),
                     [&](int a, int b) { return v[std::size_t(a)] > v[std::size_t(b)]; });
    index.resize(count);
    return index;
}

TEST_F(Routing, GroupLimitedTopEight) {
    const std::size_t tokens = 300;
    const auto logits = uniform(tokens * 256, -4, 4), bias = uniform(256, -0.1f, 0.1f);
    const OnDevice<float> dev(logits), dev_bias(bias), weights(tokens * 8);
    const OnDevice<std::int32_t> experts(tokens * 8);
    route(dev.get(), dev_bias.get(), experts.get(), weights.get(), tokens, nullptr);
    const auto got = experts.host();
    const auto w = weights.host();
    for (std::size_t t = 0; t < tokens; ++t) {
        std::vector<double> s(256), biased(256), group(8);
        for (std::size_t e = 0; e < 256; ++e) {
            s[e] = 1 / (1 + std::exp(-double(logits[t * 256 + e])));
            biased[e] = s[e] + double(bias[e]);
        }
        for (std::size_t g = 0; g < 8; ++g) {
            const std::vector<double> in(biased.begin() + std::ptrdiff_t(g * 32),
                                         biased.begin() + std::ptrdiff_t(g * 32 + 32));
            for (const int i : largest(in, 2)) group[g] += in[std::size_t(i)];
        }
        std::vector<double> kept(256, -1e9);
        for (const int g : largest(group, 4))
            for (int e = g * 32; e < g * 32 + 32; ++e)
                kept[std::size_t(e)] = biased[std::size_t(e)];
        const auto expected = largest(kept, 8);
        double total = 0;
        for (const int e : expected) total += s[std::size_t(e)];
        for (std::size_t k = 0; k < 8; ++k) {
            EXPECT_EQ(got[t * 8 + k], expected[k]) << "token " << t << " place " << k;
            EXPECT_NEAR(double(w[t * 8 + k]), s[std::size_t(expected[k])] / total, 1e-5);
        }
    }
}

TEST_F(Routing, GathersAndReducesRows) {
    const std::size_t rows = 50, tokens = 30, hidden = 1024, fan = 3;
    const auto x = normal_bf16(rows * hidden);
    std::vector<std::int32_t> index(tokens * fan);
    for (std::int32_t& i : index) i = std::int32_t(random_() % (rows + 10)) - 10;
    const auto weight = uniform(tokens * fan, 0, 1);
    std::vector<double> gathered(tokens * fan * hidden), reduced(tokens * hidden);
    for (std::size_t r = 0; r < tokens * fan; ++r)
        for (std::size_t c = 0; c < hidden; ++c) {
            const double v = index[r] < 0 ? 0 : value(x[std::size_t(index[r]) * hidden + c]);
            gathered[r * hidden + c] = v;
            reduced[r / fan * hidden + c] += v * double(weight[r]);
        }
    const OnDevice<Bf16> dev(x), out(tokens * fan * hidden), sum(tokens * hidden);
    const OnDevice<std::int32_t> dev_index(index);
    const OnDevice<float> dev_weight(weight);
    gather_rows(dev.get(), dev_index.get(), out.get(), tokens * fan, hidden * 2, nullptr);
    reduce_rows(dev.get(), dev_index.get(), dev_weight.get(), sum.get(), tokens, fan, hidden,
                nullptr);
    EXPECT_EQ(relative_error(out.host(), gathered), 0.0);
    EXPECT_LT(relative_error(sum.host(), reduced), 4e-3);
}

TEST_F(Routing, CrossEntropyLossAndGradient) {
    const std::size_t rows = 9, vocabulary = 10008;
    const auto logits = normal_bf16(rows * vocabulary, 2);
    std::vector<std::int32_t> target(rows);
    for (std::int32_t& t : target) t = std::int32_t(random_() % vocabulary);
    std::vector<double> loss(rows), gradient(rows * vocabulary);
    for (std::size_t r = 0; r < rows; ++r) {
        double total = 0;
        for (std::size_t c = 0; c < vocabulary; ++c)
            total += std::exp(value(logits[r * vocabulary + c]));
        loss[r] = std::log(total) - value(logits[r * vocabulary + std::size_t(target[r])]);
        for (std::size_t c = 0; c < vocabulary; ++c)
            gradient[r * vocabulary + c] =
                0.5 * (std::exp(value(logits[r * vocabulary + c])) / total -
                       (int(c) == target[r] ? 1 : 0));
    }
    const OnDevice<Bf16> dev(logits);
    const OnDevice<std::int32_t> dev_target(target);
    const OnDevice<float> dev_loss(rows);
    cross_entropy(dev.get(), dev_target.get(), dev_loss.get(), 0.5f, rows, vocabulary, nullptr);
    EXPECT_LT(relative_error(dev_loss.host(), loss), 1e-4);
    EXPECT_LT(relative_error(dev.host(), gradient), 4e-3);
}

}  // namespace
}  // namespace orrery::kernels
