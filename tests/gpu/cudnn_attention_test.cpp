// cuDNN's attention, as calibrate/gpu drives it, against a CPU reference.
// Bound: p, ds and the results are rounded to BF16 (relative error up to 2^-9 = 0.002 each, random
// in sign), sums are FP32: 0.01 of the norm of a whole tensor is far above that and far below
// anything a wrong mask, scale or head would give.

#include "calibrate/gpu/cudnn_attention.hpp"

#include "attention_reference.hpp"
#include "gpu_test.hpp"

namespace orrery::kernels {
namespace {

constexpr double kBound = 0.01;

class CudnnAttentionTest : public GpuTest {
  protected:
    void SetUp() override {
        GpuTest::SetUp();
        if (!IsSkipped() && calibrate::cudnn_version().empty()) GTEST_SKIP() << "no cuDNN";
    }
    void check(const AttentionSize& s, bool with_backward) {
        SCOPED_TRACE(testing::Message() << "seed " << seed_ << " heads " << s.query_heads << "/"
                                        << s.key_heads << " queries " << s.queries << " keys "
                                        << s.keys << " dims " << s.dim << "/" << s.value_dim);
        const auto q = normal_bf16(s.q()), k = normal_bf16(s.k()), v = normal_bf16(s.v()),
                   d_o = normal_bf16(s.o());
        const AttentionResult want =
            attention_reference(s, doubles(q), doubles(k), doubles(v),
                                with_backward ? doubles(d_o) : std::vector<double>{});
        const calibrate::CudnnAttention attention({s.sequences, s.query_heads, s.key_heads,
                                                   s.queries, s.keys, s.dim, s.value_dim, s.causal},
                                                  with_backward);
        const OnDevice<Bf16> dev_q(q), dev_k(k), dev_v(v), dev_do(d_o), o(s.o()), dq(s.q()),
            dk(s.k()), dv(s.v());
        const OnDevice<float> stats(s.rows());
        const OnDevice<std::uint8_t> workspace(std::size_t(attention.workspace_bytes()) + 16);
        attention.forward(nullptr, dev_q.get(), dev_k.get(), dev_v.get(), o.get(), stats.get(),
                          workspace.get());
        EXPECT_LT(relative_error(o.host(), want.o), kBound);
        EXPECT_LT(relative_error(stats.host(), want.stats), 1e-3);
        if (!with_backward) return;
        attention.backward(nullptr, dev_q.get(), dev_k.get(), dev_v.get(), o.get(), dev_do.get(),
                           stats.get(), dq.get(), dk.get(), dv.get(), workspace.get());
        EXPECT_LT(relative_error(dq.host(), want.dq), kBound);
        EXPECT_LT(relative_error(dk.host(), want.dk), kBound);
        EXPECT_LT(relative_error(dv.host(), want.dv), kBound);
    }
};

TEST_F(CudnnAttentionTest, LatentHeads) { check({2, 4, 4, 384, 384, 192, 128, true}, true); }
TEST_F(CudnnAttentionTest, GroupedHeads) { check({1, 8, 2, 512, 512, 128, 128, true}, true); }
TEST_F(CudnnAttentionTest, LengthsThatDoNotFillTiles) {
    check({1, 2, 2, 333, 333, 192, 128, true}, true);
    check({2, 4, 1, 277, 277, 128, 128, true}, true);
}
TEST_F(CudnnAttentionTest, NoMask) { check({1, 2, 2, 256, 256, 128, 128, false}, true); }
TEST_F(CudnnAttentionTest, PrefillBehindAPrefix) {
    check({1, 4, 4, 128, 512, 192, 128, true}, false);
}

}  // namespace
}  // namespace orrery::kernels
