// Expert dispatch and combine against a CPU reference: ranks as buffers of one GPU, each on a
// stream of its own, and ranks on GPUs of their own where there are at least two.

#include "kernels/expert_all_to_all.hpp"

#include <memory>

#include "gpu_test.hpp"

namespace orrery::kernels {
namespace {

constexpr std::size_t kTopK = kExpertsPerToken;

struct Case {
    int ranks, experts_per_rank, ctas;
    std::size_t tokens, hidden;
    bool fp8;
    double nowhere = 0;  // share of experts that are -1
};

// One rank's host inputs, device memory and stream.
struct Rank {
    int device = 0;
    cudaStream_t stream = nullptr;
    std::vector<std::uint8_t> x;
    std::vector<float> scales, weights;
    std::vector<std::int32_t> experts;
    std::vector<Bf16> out;
    std::unique_ptr<OnDevice<std::uint8_t>> d_x, d_rows;
    std::unique_ptr<OnDevice<float>> d_scales, d_weights, d_row_scales, d_row_weights;
    std::unique_ptr<OnDevice<std::int32_t>> d_experts, d_row_experts, d_slots, d_counts, d_failed;
    std::unique_ptr<OnDevice<std::uint32_t>> d_flags;
    std::unique_ptr<OnDevice<Bf16>> d_out, d_y;
    ExpertRank view;
    ~Rank() {
        cudaSetDevice(device);
        if (stream) cudaStreamDestroy(stream);
    }
};

template <class T>
std::unique_ptr<OnDevice<T>> to_device(const std::vector<T>& v) {
    return std::make_unique<OnDevice<T>>(v);
}
template <class T>
std::unique_ptr<OnDevice<T>> poisoned(std::size_t n) {
    return std::make_unique<OnDevice<T>>(n);
}

class ExpertAllToAll : public GpuTest {
  protected:
    void TearDown() override { cudaSetDevice(0); }

    void make(const Case& c, bool own_gpus) {
        case_ = c;
        row_bytes_ = c.hidden * (c.fp8 ? 1 : 2);
        row_scales_ = c.fp8 ? c.hidden / 128 : 0;
        capacity_ = c.tokens * std::size_t(c.ranks);
        for (int r = 0; r < c.ranks; ++r) {
            ranks_.push_back(std::make_unique<Rank>());
            Rank& k = *ranks_.back();
            k.device = own_gpus ? r : 0;
            ASSERT_EQ(cudaSetDevice(k.device), cudaSuccess);
            ASSERT_EQ(load_expert_kernels(), cudaSuccess);
            ASSERT_EQ(cudaStreamCreateWithFlags(&k.stream, cudaStreamNonBlocking), cudaSuccess);
            fill(k);
        }
        for (auto& k : ranks_) connect(*k, int(&k - ranks_.data()));
        for (auto& k : ranks_) {
            cudaSetDevice(k->device);
            ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
        }
    }

    void fill(Rank& k) {
        const Case& c = case_;
        k.x.resize(c.tokens * row_bytes_);
        for (std::uint8_t& b : k.x) b = std::uint8_t(random_());
        k.scales = uniform(c.tokens * row_scales_, 0.5f, 2);
        k.weights = uniform(c.tokens * kTopK, 0, 1);
        const auto experts = unsigned(c.ranks * c.experts_per_rank);
        std::bernoulli_distribution nowhere(c.nowhere);
        for (std::size_t i = 0; i < c.tokens * kTopK; ++i)
            k.experts.push_back(nowhere(random_) ? -1 : std::int32_t(random_() % experts));
        k.out = normal_bf16(capacity_ * c.hidden);
        k.d_x = to_device(k.x);
        k.d_scales = to_device(k.scales);
        k.d_weights = to_device(k.weights);
        k.d_experts = to_device(k.experts);
        k.d_out = to_device(k.out);
        k.d_rows = poisoned<std::uint8_t>(capacity_ * row_bytes_);
        k.d_row_scales = poisoned<float>(capacity_ * row_scales_);
        k.d_row_weights = poisoned<float>(capacity_ * kTopK);
        k.d_row_experts = poisoned<std::int32_t>(capacity_ * kTopK);
        k.d_slots = poisoned<std::int32_t>(c.tokens * std::size_t(c.ranks));
        k.d_counts = poisoned<std::int32_t>(std::size_t(c.ranks * c.ranks));
        k.d_failed = to_device(std::vector<std::int32_t>{0});
        k.d_flags = to_device(std::vector<std::uint32_t>(kExpertFlags, 0));
        k.d_y = poisoned<Bf16>(c.tokens * c.hidden);
    }

    void connect(Rank& k, int rank) {
        k.view.rank = rank;
        k.view.ranks = case_.ranks;
        k.view.tokens = std::int64_t(case_.tokens);
        k.view.slots = k.d_slots->get();
        k.view.failed = k.d_failed->get();
        for (int p = 0; p < case_.ranks; ++p) {
            const Rank& peer = *ranks_[std::size_t(p)];
            cudaSetDevice(k.device);
            if (peer.device != k.device) cudaDeviceEnablePeerAccess(peer.device, 0);
            cudaGetLastError();  // already enabled
            k.view.counts[p] = peer.d_counts->get();
            k.view.flags[p] = peer.d_flags->get();
            k.view.rows[p] = peer.d_rows->get();
            k.view.scales[p] = peer.d_row_scales->get();
            k.view.experts[p] = peer.d_row_experts->get();
            k.view.weights[p] = peer.d_row_weights->get();
            k.view.out[p] = peer.d_out->get();
        }
    }

    cudaError_t queue(Rank& k, int stage) {
        cudaSetDevice(k.device);
        const auto hidden = std::int64_t(case_.hidden);
        const ExpertTokens tokens{k.d_x->get(),
                                  case_.fp8 ? k.d_scales->get() : nullptr,
                                  k.d_experts->get(),
                                  k.d_weights->get(),
                                  std::int64_t(row_bytes_),
                                  int(row_scales_)};
        if (stage == 0)
            return expert_layout(k.view, k.d_experts->get(), case_.experts_per_rank, k.stream);
        if (stage == 1) return expert_dispatch(k.view, tokens, case_.ctas, k.stream);
        return expert_combine(k.view, k.d_y->get(), hidden, case_.ctas, k.stream);
    }

    // Layout, dispatch and combine, twice: the second run must wait for the first.
    void run() {
        for (int stage = 0; stage < 6; ++stage)
            for (auto& k : ranks_) EXPECT_EQ(queue(*k, stage % 3), cudaSuccess);
        for (auto& k : ranks_) {
            cudaSetDevice(k->device);
            ASSERT_EQ(cudaStreamSynchronize(k->stream), cudaSuccess);
            ASSERT_EQ(k->d_failed->host()[0], 0) << "a barrier timed out";
        }
    }

    bool goes(const Rank& from, std::size_t t, int to) const {
        for (std::size_t i = 0; i < kTopK; ++i) {
            const int e = from.experts[t * kTopK + i];
            if (e >= 0 && e / case_.experts_per_rank == to) return true;
        }
        return false;
    }

    // Walks the tokens in the order in which they must lie, compares each row and adds up combine.
    void compare() {
        std::vector<std::vector<double>> sums(
            ranks_.size(), std::vector<double>(case_.tokens * case_.hidden, 0.0));
        for (int d = 0; d < case_.ranks; ++d) {
            Rank& to = *ranks_[std::size_t(d)];
            cudaSetDevice(to.device);
            const auto rows = to.d_rows->host();
            const auto scales = to.d_row_scales->host(), weights = to.d_row_weights->host();
            const auto experts = to.d_row_experts->host();
            std::size_t row = 0;
            for (std::size_t s = 0; s < ranks_.size(); ++s) {
                const Rank& from = *ranks_[s];
                for (std::size_t t = 0; t < case_.tokens; ++t) {
                    if (!goes(from, t, d)) continue;
                    const auto same = [&](const auto& got, const auto& sent, std::size_t n) {
                        return std::memcmp(&got[row * n], &sent[t * n], n * sizeof sent[0]) == 0;
                    };
                    ASSERT_TRUE(same(rows, from.x, row_bytes_)) << s << " token " << t;
                    if (case_.fp8) {
                        ASSERT_TRUE(same(scales, from.scales, row_scales_));
                    }
                    ASSERT_TRUE(same(experts, from.experts, kTopK));
                    ASSERT_TRUE(same(weights, from.weights, kTopK));
                    for (std::size_t c = 0; c < case_.hidden; ++c)
                        sums[s][t * case_.hidden + c] += value(to.out[row * case_.hidden + c]);
                    ++row;
                }
            }
            for (std::size_t i = row * row_bytes_; i < rows.size(); ++i)
                ASSERT_EQ(rows[i], 0xff) << "written behind the last row";
        }
        for (std::size_t s = 0; s < ranks_.size(); ++s) {
            cudaSetDevice(ranks_[s]->device);
            EXPECT_LT(relative_error(ranks_[s]->d_y->host(), sums[s]), 4e-3);
        }
    }

    Case case_{};
    std::size_t row_bytes_ = 0, row_scales_ = 0, capacity_ = 0;
    std::vector<std::unique_ptr<Rank>> ranks_;
};

// ranks x CTAs must fit the GPU at once: every CTA waits for all ranks.
TEST_F(ExpertAllToAll, TwoRanksOnOneGpuFp8) {
    make({2, 4, 20, 333, 7168, true}, false);
    run();
    compare();
}
TEST_F(ExpertAllToAll, FourRanksOnOneGpuBf16OddCtas) {
    make({4, 8, 7, 200, 7168, false}, false);
    run();
    compare();
}
TEST_F(ExpertAllToAll, EightRanksOnOneGpuWithDroppedExperts) {
    make({8, 4, 8, 150, 1536, true, 0.3}, false);
    run();
    compare();
}
TEST_F(ExpertAllToAll, TokensThatGoNowhereAreZeroAfterCombine) {
    make({2, 4, 8, 64, 512, false, 0.9}, false);
    run();
    compare();
}
TEST_F(ExpertAllToAll, EveryGpuARank) {
    int gpus = 0;
    cudaGetDeviceCount(&gpus);
    if (gpus < 2) GTEST_SKIP() << "one GPU: needs two with peer access";
    const int ranks = std::min(gpus, kMostExpertRanks);
    make({ranks, 16, 20, std::size_t(1600 / ranks), 7168, true}, true);
    run();
    compare();
}
TEST_F(ExpertAllToAll, EveryGpuARankBf16) {
    int gpus = 0;
    cudaGetDeviceCount(&gpus);
    if (gpus < 2) GTEST_SKIP() << "one GPU: needs two with peer access";
    const int ranks = std::min(gpus, kMostExpertRanks);
    make({ranks, 16, 24, std::size_t(1600 / ranks), 7168, false}, true);
    run();
    compare();
}

}  // namespace
}  // namespace orrery::kernels
