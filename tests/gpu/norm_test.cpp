#include "kernels/norm.hpp"

#include "gpu_test.hpp"

namespace orrery::kernels {
namespace {

struct Reference {
    std::vector<double> y, rstd, dx, dw;
};

Reference reference(const std::vector<Bf16>& x, const std::vector<Bf16>& w,
                    const std::vector<Bf16>& dy, std::size_t rows, std::size_t hidden) {
    Reference r{std::vector<double>(rows * hidden), std::vector<double>(rows),
                std::vector<double>(rows * hidden), std::vector<double>(hidden)};
    for (std::size_t i = 0; i < rows; ++i) {
        double squares = 0, dot = 0;
        for (std::size_t j = 0; j < hidden; ++j)
            squares += value(x[i * hidden + j]) * value(x[i * hidden + j]);
        r.rstd[i] = 1 / std::sqrt(squares / double(hidden) + 1e-6);
        for (std::size_t j = 0; j < hidden; ++j)
            dot += value(w[j]) * value(dy[i * hidden + j]) * value(x[i * hidden + j]) * r.rstd[i];
        for (std::size_t j = 0; j < hidden; ++j) {
            const std::size_t at = i * hidden + j;
            const double normed = value(x[at]) * r.rstd[i];
            r.y[at] = normed * value(w[j]);
            r.dx[at] = r.rstd[i] * (value(w[j]) * value(dy[at]) - normed * dot / double(hidden));
            r.dw[j] += value(dy[at]) * normed;
        }
    }
    return r;
}

class RmsNorm : public GpuTest {
  protected:
    void compare(std::size_t rows, std::size_t hidden) {
        const auto x = normal_bf16(rows * hidden), w = normal_bf16(hidden),
                   dy = normal_bf16(rows * hidden);
        const Reference r = reference(x, w, dy, rows, hidden);
        const OnDevice<Bf16> dev_x(x), dev_w(w), dev_dy(dy), y(rows * hidden), dx(rows * hidden);
        const auto floats = static_cast<std::size_t>(
            rms_norm_backward_workspace(static_cast<std::int64_t>(hidden)));
        const OnDevice<float> rstd(rows), dw(hidden), workspace(floats);
        rms_norm(dev_x.get(), dev_w.get(), y.get(), rstd.get(), std::int64_t(rows),
                 std::int64_t(hidden), nullptr);
        rms_norm_backward(dev_dy.get(), dev_x.get(), dev_w.get(), rstd.get(), dx.get(), dw.get(),
                          workspace.get(), std::int64_t(rows), std::int64_t(hidden), nullptr);
        EXPECT_LT(relative_error(y.host(), r.y), 4e-3) << hidden;
        EXPECT_LT(relative_error(rstd.host(), r.rstd), 1e-5) << hidden;
        EXPECT_LT(relative_error(dx.host(), r.dx), 4e-3) << hidden;
        EXPECT_LT(relative_error(dw.host(), r.dw), 1e-4) << hidden;
    }
};

TEST_F(RmsNorm, MatchesTheFormulaAtEveryWidth) {
    for (const std::size_t hidden : {256, 512, 1536, 2048, 5120, 7168, 8192}) compare(67, hidden);
}
TEST_F(RmsNorm, SumsWeightGradientOverMoreRowsThanBlocks) { compare(1500, 1536); }

}  // namespace
}  // namespace orrery::kernels
