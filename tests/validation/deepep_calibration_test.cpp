// The constants of the expert all-to-all are the least-squares choice on the rows that they are
// said to be set on, and on nothing else: changing any of them by a step fits those rows no better.

#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "study/expert_exchange.hpp"

namespace orrery {
namespace {

struct Row {
    ExpertMode mode;
    bool dispatch;
    std::int32_t ranks;
    double published;  // B/s (normal) or s (low latency)
};

// deepseek-ai/DeepEP README.md @3b1045d (normal) and @de8cfca (low latency).
constexpr auto kNormal = ExpertMode::normal;
constexpr auto kLow = ExpertMode::low_latency;
const std::vector<Row> kRows = {
    {kNormal, true, 8, 153e9},  {kNormal, false, 8, 158e9}, {kNormal, true, 16, 43e9},
    {kNormal, false, 16, 43e9}, {kNormal, true, 32, 58e9},  {kNormal, false, 32, 57e9},
    {kLow, true, 16, 118e-6},   {kLow, false, 16, 195e-6},  {kLow, true, 32, 155e-6},
    {kLow, false, 32, 273e-6},
};

class Fit {
  public:
    explicit Fit(const ClusterProfile& cluster) {
        for (const Row& row : kRows) {
            ExpertExchange e;
            e.mode = row.mode;
            e.ranks = row.ranks;
            e.tokens = row.mode == kNormal ? 4096 : 128;
            e.node_limit = row.mode == kNormal ? 4 : 0;
            traffic_.push_back(answer_exchange(e, cluster).traffic);
        }
    }
    // Sum of squared logarithms of predicted over published.
    double error(const ClusterProfile& cluster) const {
        const ExpertAllToAll model(cluster);
        double sum = 0;
        for (std::size_t i = 0; i < kRows.size(); ++i) {
            const Row& row = kRows[i];
            const ExpertTime t = model.time(
                traffic_[i], {row.mode, ExpertVersion::v2025_06,
                              expert_payload(row.mode, row.dispatch, 7168), 24, row.dispatch});
            const double predicted = row.mode == kNormal ? t.bandwidth.value() : t.time.value();
            sum += std::pow(std::log(predicted / row.published), 2);
        }
        return sum;
    }

  private:
    std::vector<ExpertTraffic> traffic_;
};

}  // namespace

TEST(DeepEpCalibration, ConstantsAreTheBestOnTheirRows) {
    const ClusterProfile shipped = load_cluster("h800_ib_2048", "hw_profiles");
    const Fit fit(shipped);
    const double best = fit.error(shipped);
    EXPECT_LT(std::sqrt(best / static_cast<double>(kRows.size())), 0.025);  // rms, 2.5 %
    const std::vector<std::function<void(ExpertCosts&, double)>> steps = {
        [](ExpertCosts& c, double s) { c.nic_efficiency.value += Ratio(0.01 * s); },
        [](ExpertCosts& c, double s) { c.nvlink_efficiency.value += Ratio(0.01 * s); },
        [](ExpertCosts& c, double s) { c.overlap_loss.value += Ratio(0.01 * s); },
        [](ExpertCosts& c, double s) { c.message_time.value += Seconds(2e-9 * s); },
        [](ExpertCosts& c, double s) { c.barrier.value += Seconds(1e-6 * s); },
    };
    for (std::size_t i = 0; i < steps.size(); ++i) {
        for (const double sign : {-1.0, 1.0}) {
            ClusterProfile other = shipped;
            steps[i](*other.expert_costs, sign);
            EXPECT_GT(fit.error(other), best - 1e-5) << "constant " << i << ", step " << sign;
        }
    }
}

// The H100's are the H800's.
TEST(DeepEpCalibration, TakenOverUnchanged) {
    const auto h800 = load_cluster("h800_ib_2048", "hw_profiles").expert_costs.value();
    const auto h100 = load_cluster("h100_8", "hw_profiles").expert_costs.value();
    EXPECT_EQ(h100.nic_efficiency.value, h800.nic_efficiency.value);
    EXPECT_EQ(h100.overlap_loss.value, h800.overlap_loss.value);
    EXPECT_EQ(h100.barrier.value, h800.barrier.value);
    EXPECT_EQ(h100.origin(), Origin::derived);
}

}  // namespace orrery
