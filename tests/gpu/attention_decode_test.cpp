#include "kernels/attention_decode.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "gpu_test.hpp"

namespace orrery::kernels {
namespace {

// The reference is the definition in double. The BF16 result alone is 1.7e-3 off (half a unit in
// the 8th bit, uniform), probabilities rounded to BF16 add as much: 2.4e-3 together.
constexpr double kBound = 3.2e-3;
constexpr int kBlock = 64;

class AttentionDecode : public GpuTest {
  protected:
    // Every request's blocks anywhere in the cache, some blocks nobody's.
    struct Paging {
        std::vector<std::int32_t> lengths, table;
        int stride = 0, blocks = 0;
        int block_of(std::size_t request, int key) const {
            return table[request * std::size_t(stride) + std::size_t(key / kBlock)];
        }
    };
    Paging page(const std::vector<int>& lengths) {
        Paging p;
        p.lengths.assign(lengths.begin(), lengths.end());
        int used = 0;
        for (const int n : lengths) {
            used += (n + kBlock - 1) / kBlock;
            p.stride = std::max(p.stride, (n + kBlock - 1) / kBlock + 1);
        }
        p.blocks = used + 3;
        std::vector<std::int32_t> order(std::size_t(p.blocks));
        std::iota(order.begin(), order.end(), 0);
        std::shuffle(order.begin(), order.end(), random_);
        p.table.assign(lengths.size() * std::size_t(p.stride), -1);  // never read
        std::size_t next = 0;
        for (std::size_t r = 0; r < lengths.size(); ++r)
            for (int i = 0; i < (lengths[r] + kBlock - 1) / kBlock; ++i)
                p.table[r * std::size_t(p.stride) + std::size_t(i)] = order[next++];
        return p;
    }
    // Keys of one head as [blocks, heads, 64, dim]: normal where a request has them, NaN elsewhere.
    std::vector<Bf16> cache(const Paging& p, int heads, int dim) {
        const std::size_t row = std::size_t(dim), block = std::size_t(heads * kBlock) * row;
        std::vector<Bf16> v(std::size_t(p.blocks) * block,
                            __float2bfloat16(std::numeric_limits<float>::quiet_NaN()));
        std::normal_distribution<float> d(0, 1);
        for (std::size_t r = 0; r < p.lengths.size(); ++r)
            for (int key = 0; key < p.lengths[r]; ++key)
                for (int h = 0; h < heads; ++h) {
                    Bf16* at = &v[std::size_t(p.block_of(r, key)) * block +
                                  std::size_t(h * kBlock + key % kBlock) * row];
                    for (std::size_t i = 0; i < row; ++i) at[i] = __float2bfloat16(d(random_));
                }
        return v;
    }
};

std::vector<float> floats(const std::vector<Bf16>& v) {
    std::vector<float> f(v.size());
    for (std::size_t i = 0; i < v.size(); ++i) f[i] = float(value(v[i]));
    return f;
}

// One query row against keys [from(j)] and values [from(j)]; returns the log of the sum.
template <class Row>
double attend(const float* q, int dim, int value_dim, int keys, double scale, const Row& key,
              const Row& val, double* out) {
    std::vector<double> s(std::size_t(std::max(keys, 0)));
    for (int j = 0; j < keys; ++j) {
        double dot = 0;
        const float* k = key(j);
        for (int i = 0; i < dim; ++i) dot += double(q[i]) * double(k[i]);
        s[std::size_t(j)] = dot * scale;
    }
    std::fill(out, out + value_dim, 0.0);
    if (keys <= 0) return -std::numeric_limits<double>::infinity();
    const double highest = *std::max_element(s.begin(), s.end());
    double sum = 0;
    for (int j = 0; j < keys; ++j) {
        const double p = std::exp(s[std::size_t(j)] - highest);
        const float* v = val(j);
        for (int i = 0; i < value_dim; ++i) out[i] += p * double(v[i]);
        sum += p;
    }
    for (int i = 0; i < value_dim; ++i) out[i] /= sum;
    return highest + std::log(sum);
}

void expect_logs(const std::vector<float>& got, const std::vector<double>& expected) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (std::isinf(expected[i]))
            ASSERT_TRUE(std::isinf(got[i]) && got[i] < 0) << "row " << i;
        else
            ASSERT_NEAR(double(got[i]), expected[i], 2e-3) << "row " << i;
    }
}

class MlaDecode : public AttentionDecode {
  protected:
    // sms: few of them cut the work elsewhere.
    void check(int heads, int tokens, const std::vector<int>& lengths, std::vector<int> sms) {
        const Paging p = page(lengths);
        const int rows = heads * tokens;
        const std::size_t all = lengths.size() * std::size_t(rows);
        const auto keys = cache(p, 1, 576), q = normal_bf16(all * 576);
        const auto kf = floats(keys), qf = floats(q);
        const float scale = 1 / std::sqrt(192.f);
        std::vector<double> expected(all * 512), logs(all);
        for (std::size_t r = 0; r < lengths.size(); ++r)
            for (int row = 0; row < rows; ++row) {
                const std::size_t at = r * std::size_t(rows) + std::size_t(row);
                const auto key = [&](int j) {
                    return &kf[std::size_t(p.block_of(r, j) * kBlock + j % kBlock) * 576];
                };
                logs[at] = attend(&qf[at * 576], 576, 512, lengths[r] - (tokens - 1 - row / heads),
                                  double(scale), key, key, &expected[at * 512]);
            }
        const OnDevice<Bf16> dq(q), dk(keys);
        const OnDevice<std::int32_t> table(p.table), length(p.lengths);
        for (const int n : sms) {
            const DecodeShape s{
                int(lengths.size()), tokens, heads, 1, p.blocks, p.stride, scale, n};
            const OnDevice<Bf16> out(all * 512);
            const OnDevice<float> log(all);
            const OnDevice<std::uint8_t> work(mla_decode_workspace(s));
            ASSERT_EQ(mla_decode(dq.get(), dk.get(), {table.get(), length.get()}, out.get(),
                                 log.get(), work.get(), s, nullptr),
                      cudaSuccess);
            EXPECT_LT(relative_error(out.host(), expected), kBound)
                << heads << " heads, " << tokens << " tokens, " << n << " SMs, seed " << seed_;
            expect_logs(log.host(), logs);
        }
    }
};

TEST_F(MlaDecode, OneTokenAllHeads) {
    for (const int heads : {16, 32, 64, 80, 128}) check(heads, 1, {1, 63, 64, 65, 4097, 128}, {0});
}
TEST_F(MlaDecode, TwoTokens) {
    for (const int heads : {16, 32, 64, 128}) check(heads, 2, {2, 65, 700, 66, 64, 1}, {0});
}
// Pieces cut in every way: one share of everything, few, and many of one request.
TEST_F(MlaDecode, CutAnywhere) { check(16, 1, {777, 64, 1, 900, 65, 640, 2}, {1, 2, 3, 7, 0}); }
TEST_F(MlaDecode, RequestsWithoutKeys) { check(16, 1, {0, 100, 0, 0, 300, 0}, {1, 2, 0}); }
TEST_F(MlaDecode, ManyRequests) {
    std::vector<int> lengths(700);
    for (int& n : lengths) n = int(random_() % 150);
    check(16, 1, lengths, {0});
}

TEST_F(MlaDecode, RefusesShapesItDoesNotTake) {
    DecodeShape s{1, 0, 128, 1, 1, 1, 1, 0};
    const auto call = [&] {
        return mla_decode(nullptr, nullptr, {nullptr, nullptr}, nullptr, nullptr, nullptr, s,
                          nullptr);
    };
    EXPECT_EQ(call(), cudaErrorInvalidValue);
    s.query_tokens = 1;
    s.key_heads = 2;
    EXPECT_EQ(call(), cudaErrorInvalidValue);
}

class GqaDecode : public AttentionDecode {
  protected:
    void check(int heads, int key_heads, int tokens, const std::vector<int>& lengths,
               std::vector<int> sms) {
        const Paging p = page(lengths);
        const int rows = heads * tokens, group = heads / key_heads;
        const std::size_t all = lengths.size() * std::size_t(rows);
        const auto keys = cache(p, key_heads, 128), values = cache(p, key_heads, 128),
                   q = normal_bf16(all * 128);
        const auto kf = floats(keys), vf = floats(values), qf = floats(q);
        const float scale = 1 / std::sqrt(128.f);
        std::vector<double> expected(all * 128), logs(all);
        for (std::size_t r = 0; r < lengths.size(); ++r)
            for (int row = 0; row < rows; ++row) {
                const std::size_t at = r * std::size_t(rows) + std::size_t(row);
                const auto in = [&](const std::vector<float>& f) {
                    return [&, row](int j) {
                        const int head = p.block_of(r, j) * key_heads + row % heads / group;
                        return &f[std::size_t(head * kBlock + j % kBlock) * 128];
                    };
                };
                using Row = std::function<const float*(int)>;
                logs[at] =
                    attend<Row>(&qf[at * 128], 128, 128, lengths[r] - (tokens - 1 - row / heads),
                                double(scale), in(kf), in(vf), &expected[at * 128]);
            }
        const OnDevice<Bf16> dq(q), dk(keys), dv(values);
        const OnDevice<std::int32_t> table(p.table), length(p.lengths);
        for (const int n : sms) {
            const DecodeShape s{
                int(lengths.size()), tokens, heads, key_heads, p.blocks, p.stride, scale, n};
            const OnDevice<Bf16> out(all * 128);
            const OnDevice<float> log(all);
            const OnDevice<std::uint8_t> work(gqa_decode_workspace(s));
            ASSERT_EQ(gqa_decode(dq.get(), dk.get(), dv.get(), {table.get(), length.get()},
                                 out.get(), log.get(), work.get(), s, nullptr),
                      cudaSuccess);
            EXPECT_LT(relative_error(out.host(), expected), kBound)
                << heads << "/" << key_heads << " heads, " << tokens << " tokens, " << n
                << " SMs, seed " << seed_;
            expect_logs(log.host(), logs);
        }
    }
};

TEST_F(GqaDecode, OneTokenAllHeads) {
    check(64, 8, 1, {1, 63, 64, 65, 4097, 128}, {0});
    check(32, 8, 1, {1, 63, 64, 65, 4097, 128}, {0});
    check(16, 1, 1, {4097, 5}, {0});
    check(8, 8, 1, {200, 64}, {0});
}
TEST_F(GqaDecode, TwoTokens) {
    check(64, 8, 2, {2, 65, 700, 66, 64, 1}, {0});
    check(12, 4, 2, {2, 65, 700, 66, 64, 1}, {0});
}
TEST_F(GqaDecode, CutAnywhere) { check(8, 2, 1, {777, 64, 1, 900, 65, 640, 2}, {1, 2, 3, 7, 0}); }
TEST_F(GqaDecode, RequestsWithoutKeys) { check(8, 2, 1, {0, 100, 0, 0, 300, 0}, {1, 2, 0}); }

TEST_F(GqaDecode, RefusesShapesItDoesNotTake) {
    DecodeShape s{1, 1, 64, 2, 1, 1, 1, 0};  // 32 rows a key head
    const auto call = [&] {
        return gqa_decode(nullptr, nullptr, nullptr, {nullptr, nullptr}, nullptr, nullptr, nullptr,
                          s, nullptr);
    };
    EXPECT_EQ(call(), cudaErrorInvalidValue);
    s = {1, 1, 10, 4, 1, 1, 1, 0};
    EXPECT_EQ(call(), cudaErrorInvalidValue);
}

}  // namespace
}  // namespace orrery::kernels
