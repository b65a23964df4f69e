// The backward kernels against a CPU reference, on the forward kernel's results. Bound: as in
// attention_forward_test.cpp; ds is rounded to BF16 once more and its sums cancel: 0.015.

#include "kernels/attention_backward.hpp"

#include "attention_reference.hpp"
#include "gpu_test.hpp"

namespace orrery::kernels {
namespace {

class AttentionBackward : public GpuTest {
  protected:
    void check(const AttentionSize& s) {
        SCOPED_TRACE(testing::Message()
                     << "seed " << seed_ << " sequences " << s.sequences << " heads "
                     << s.query_heads << "/" << s.key_heads << " queries " << s.queries << " keys "
                     << s.keys << " dim " << s.dim << (s.causal ? " causal" : ""));
        const auto q = normal_bf16(s.q()), k = normal_bf16(s.k()), v = normal_bf16(s.v()),
                   d_o = normal_bf16(s.o());
        const AttentionResult want =
            attention_reference(s, doubles(q), doubles(k), doubles(v), doubles(d_o));
        const AttentionForwardShape shape{
            s.sequences, s.query_heads, s.key_heads, s.queries, s.keys,
            s.dim,       s.value_dim,   s.causal,    0,         0};
        const OnDevice<Bf16> dev_q(q), dev_k(k), dev_v(v), dev_do(d_o), o(s.o()), dq(s.q()),
            dk(s.k()), dv(s.v());
        const OnDevice<float> stats(s.rows());
        const OnDevice<std::uint8_t> workspace(
            std::size_t(std::max(attention_backward_workspace(shape), kAttentionForwardWorkspace)));
        ASSERT_EQ(attention_forward(dev_q.get(), dev_k.get(), dev_v.get(), o.get(), stats.get(),
                                    shape, workspace.get(), nullptr),
                  cudaSuccess);
        ASSERT_EQ(attention_backward(dev_q.get(), dev_k.get(), dev_v.get(), o.get(), dev_do.get(),
                                     stats.get(), dq.get(), dk.get(), dv.get(), shape,
                                     workspace.get(), nullptr),
                  cudaSuccess);
        EXPECT_LT(relative_error(dv.host(), want.dv), 0.015);
        EXPECT_LT(relative_error(dk.host(), want.dk), 0.015);
        EXPECT_LT(relative_error(dq.host(), want.dq), 0.015);
    }
};

TEST_F(AttentionBackward, LatentHeads) {
    check({1, 1, 1, 128, 128, 192, 128, true});
    check({2, 4, 4, 512, 512, 192, 128, true});
}
TEST_F(AttentionBackward, GroupedHeads) {
    check({1, 8, 2, 512, 512, 128, 128, true});
    check({2, 4, 1, 256, 256, 128, 128, true});
}
TEST_F(AttentionBackward, LengthsThatDoNotFillTiles) {
    check({3, 2, 2, 333, 333, 192, 128, true});
    check({2, 4, 2, 130, 130, 128, 128, true});
    check({1, 2, 2, 5, 5, 192, 128, true});
}
TEST_F(AttentionBackward, NoMask) {
    check({1, 2, 2, 256, 384, 128, 128, false});
    check({2, 2, 2, 100, 333, 192, 128, false});
}
TEST_F(AttentionBackward, QueriesBehindAPrefix) {
    check({1, 4, 4, 128, 512, 192, 128, true});
    check({2, 2, 2, 200, 300, 128, 128, true});
}
TEST_F(AttentionBackward, RefusesWhatItDoesNotKnow) {
    EXPECT_EQ(
        attention_backward(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                           nullptr, {1, 2, 2, 64, 64, 64, 64, true, 0, 0}, nullptr, nullptr),
        cudaErrorInvalidValue);
}

}  // namespace
}  // namespace orrery::kernels
