// The forward kernel against a CPU reference. Bound: the weights and o are rounded to BF16
// (relative error up to 2^-9 = 0.002 each, random in sign), sums are FP32: 0.01 of the norm of o is
// far above that and far below anything a wrong mask, scale or head would give.

#include "kernels/attention_forward.hpp"

#include "attention_reference.hpp"
#include "gpu_test.hpp"

namespace orrery::kernels {
namespace {

class AttentionForward : public GpuTest {
  protected:
    void check(const AttentionSize& s, int sms = 0) {
        SCOPED_TRACE(testing::Message()
                     << "seed " << seed_ << " sequences " << s.sequences << " heads "
                     << s.query_heads << "/" << s.key_heads << " queries " << s.queries << " keys "
                     << s.keys << " dim " << s.dim << (s.causal ? " causal" : ""));
        const auto q = normal_bf16(s.q()), k = normal_bf16(s.k()), v = normal_bf16(s.v());
        const AttentionResult want = attention_reference(s, doubles(q), doubles(k), doubles(v), {});
        const OnDevice<Bf16> dev_q(q), dev_k(k), dev_v(v), o(s.o());
        const OnDevice<float> stats(s.rows());
        const OnDevice<std::uint8_t> workspace(kAttentionForwardWorkspace);
        const AttentionForwardShape shape{
            s.sequences, s.query_heads, s.key_heads, s.queries, s.keys,
            s.dim,       s.value_dim,   s.causal,    0,         sms};
        ASSERT_EQ(attention_forward(dev_q.get(), dev_k.get(), dev_v.get(), o.get(), stats.get(),
                                    shape, workspace.get(), nullptr),
                  cudaSuccess);
        EXPECT_LT(relative_error(o.host(), want.o), 0.01);
        EXPECT_LT(relative_error(stats.host(), want.stats), 1e-3);
    }
};

TEST_F(AttentionForward, LatentHeads) {
    check({1, 2, 2, 128, 128, 192, 128, true});
    check({2, 4, 4, 512, 512, 192, 128, true});
}
TEST_F(AttentionForward, GroupedHeads) {
    check({1, 8, 2, 640, 640, 128, 128, true});
    check({2, 4, 1, 384, 384, 128, 128, true});
}
TEST_F(AttentionForward, LengthsThatDoNotFillTiles) {
    check({1, 2, 2, 1, 1, 192, 128, true});
    check({3, 2, 2, 333, 333, 192, 128, true});
    check({2, 2, 1, 130, 130, 128, 128, true});
}
TEST_F(AttentionForward, NoMask) {
    check({1, 2, 2, 256, 384, 128, 128, false});
    check({2, 2, 2, 100, 333, 192, 128, false});
}
TEST_F(AttentionForward, PrefillBehindAPrefix) {
    check({1, 4, 4, 128, 512, 192, 128, true});
    check({2, 2, 2, 200, 300, 128, 128, true});
    check({1, 2, 2, 1, 777, 192, 128, true});
}
// More tiles than CTAs, so that each runs several; 7 CTAs also leave some with more than others.
TEST_F(AttentionForward, FewSms) {
    check({2, 5, 5, 400, 400, 192, 128, true}, 7);
    check({2, 5, 5, 400, 400, 128, 128, true}, 1);
}
TEST_F(AttentionForward, LargeScoresDoNotOverflow) {
    const AttentionSize s{1, 1, 1, 256, 256, 192, 128, true};
    auto q = normal_bf16(s.q(), 30), k = normal_bf16(s.k(), 30), v = normal_bf16(s.v());
    const AttentionResult want = attention_reference(s, doubles(q), doubles(k), doubles(v), {});
    const OnDevice<Bf16> dev_q(q), dev_k(k), dev_v(v), o(s.o());
    const OnDevice<float> stats(s.rows());
    const OnDevice<std::uint8_t> workspace(kAttentionForwardWorkspace);
    ASSERT_EQ(
        attention_forward(dev_q.get(), dev_k.get(), dev_v.get(), o.get(), stats.get(),
                          {1, 1, 1, 256, 256, 192, 128, true, 0, 0}, workspace.get(), nullptr),
        cudaSuccess);
    EXPECT_LT(relative_error(o.host(), want.o), 0.01);
    EXPECT_LT(relative_error(stats.host(), want.stats), 1e-3);
}
TEST_F(AttentionForward, RefusesWhatItDoesNotKnow) {
    const auto launch = [](const AttentionForwardShape& s) {
        return attention_forward(nullptr, nullptr, nullptr, nullptr, nullptr, s, nullptr, nullptr);
    };
    EXPECT_EQ(launch({1, 2, 2, 64, 64, 64, 64, true, 0, 0}), cudaErrorInvalidValue);
    EXPECT_EQ(launch({1, 3, 2, 64, 64, 128, 128, true, 0, 0}), cudaErrorInvalidValue);
    EXPECT_EQ(launch({1, 2, 2, 65, 64, 128, 128, true, 0, 0}), cudaErrorInvalidValue);
}

}  // namespace
}  // namespace orrery::kernels
