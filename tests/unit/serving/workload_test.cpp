// Drawn workloads have the moments they are asked for.
#include "serving/workload.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "core/error.hpp"

namespace orrery {
namespace {

struct Moments {
    double mean = 0, cv = 0;
};
template <class Draw>
Moments moments(int n, const Draw& draw) {
    double sum = 0, squares = 0;
    for (int i = 0; i < n; ++i) {
        const double x = draw();
        sum += x;
        squares += x * x;
    }
    const double mean = sum / n;
    return {mean, std::sqrt(squares / n - mean * mean) / mean};
}

// The standard error of a mean of 100,000 draws is cv / 316.
TEST(ArrivalProcess, DistancesHaveTheirMeanAndVariation) {
    const auto measured = [](ArrivalProcess process) {
        Draws draws(1, 2);
        return moments(100'000, [&] { return draw_distance(process, draws); });
    };
    const Moments poisson = measured({ArrivalFamily::poisson, 4, 1});
    EXPECT_NEAR(poisson.mean, 0.25, 0.004);
    EXPECT_NEAR(poisson.cv, 1, 0.02);
    const Moments gamma = measured({ArrivalFamily::gamma, 4, 0.25});  // cv 2
    EXPECT_NEAR(gamma.mean, 0.25, 0.007);
    EXPECT_NEAR(gamma.cv, 2, 0.06);
    const Moments smooth = measured({ArrivalFamily::gamma, 4, 4});  // cv 0.5
    EXPECT_NEAR(smooth.cv, 0.5, 0.01);
    // Weibull with k = 2: cv^2 = G(2) / G(1.5)^2 - 1 = 0.27324.
    const Moments weibull = measured({ArrivalFamily::weibull, 4, 2});
    EXPECT_NEAR(weibull.mean, 0.25, 0.003);
    EXPECT_NEAR(weibull.cv, 0.5227, 0.01);
    const Moments fixed = measured({ArrivalFamily::fixed, 4, 1});
    EXPECT_EQ(fixed.mean, 0.25);
}

TEST(LengthDistribution, DrawsWithinItsBounds) {
    Draws draws(1, 2);
    const LengthDistribution uniform{LengthFamily::uniform, 10, 20};
    const Moments even = moments(20'000, [&] {
        const std::int64_t tokens = draw_length(uniform, draws);
        EXPECT_GE(tokens, 10);
        EXPECT_LE(tokens, 20);
        return static_cast<double>(tokens);
    });
    EXPECT_NEAR(even.mean, 15, 0.1);
    // cv of a lognormal: sqrt(exp(sigma^2) - 1) = 0.5329 at sigma 0.5.
    const LengthDistribution lognormal{LengthFamily::lognormal, 1, 1'000'000, 1000, 0.5};
    const Moments log =
        moments(100'000, [&] { return static_cast<double>(draw_length(lognormal, draws)); });
    EXPECT_NEAR(log.mean, 1000, 8);
    EXPECT_NEAR(log.cv, 0.5329, 0.01);
    // 1 with weight 1, 4 with weight 3: mean 3.25.
    const LengthDistribution histogram = histogram_length({{4, 3}, {1, 1}}, "x");
    const Moments steps =
        moments(20'000, [&] { return static_cast<double>(draw_length(histogram, draws)); });
    EXPECT_NEAR(steps.mean, 3.25, 0.05);
    EXPECT_EQ(draw_length(fixed_length(7), draws), 7);
    EXPECT_THROW(histogram_length({{1, 0}}, "x"), InputError);
    EXPECT_THROW(histogram_length({{1, -1}, {2, 3}}, "x"), InputError);
}

TEST(Synthetic, IsTheSameEveryTimeAndAsLongAsAskedFor) {
    const SyntheticWorkload workload{.arrivals = {ArrivalFamily::poisson, 10, 1},
                                     .prompt = {LengthFamily::uniform, 1, 100},
                                     .output = fixed_length(5),
                                     .cached_fraction = 0.5,
                                     .requests = 1000};
    const RequestStream a = synthetic_stream(workload), b = synthetic_stream(workload);
    std::int64_t count = 0;
    SimTime last{};
    while (const auto request = a.next()) {
        const auto same = b.next();
        ASSERT_TRUE(same);
        EXPECT_EQ(request->arrival, same->arrival);
        EXPECT_EQ(request->prompt_tokens, same->prompt_tokens);
        EXPECT_GE(request->arrival, last);
        EXPECT_EQ(request->cached_tokens, request->prompt_tokens / 2);
        last = request->arrival;
        ++count;
    }
    EXPECT_EQ(count, 1000);
    EXPECT_NEAR(to_seconds(last).value(), 100, 10);
}

// Three users and five requests: three at the start, two after answers, then none.
TEST(ClosedLoop, AUserAsksAgainAfterTheAnswer) {
    const RequestStream stream = closed_loop_stream(
        {.users = 3,
         .think_seconds = 0,
         .workload = {.prompt = fixed_length(10), .output = fixed_length(1), .requests = 5}});
    for (std::uint32_t user = 0; user < 3; ++user) EXPECT_EQ(stream.next()->user, user);
    EXPECT_FALSE(stream.next());
    const auto again = stream.after(1, SimTime{500});
    ASSERT_TRUE(again);
    EXPECT_EQ(again->user, 1U);
    EXPECT_EQ(again->arrival.ps, 500);
    EXPECT_TRUE(stream.after(0, SimTime{600}));
    EXPECT_FALSE(stream.after(2, SimTime{700}));
}

class ServeGen : public testing::Test {
  protected:
    void SetUp() override {
        std::filesystem::create_directories(directory_);
        // Two windows of 600 s with 2 requests/s, one without, one with 1/s.
        write("chunk-0-trace.csv",
              "0,2,1,Gamma,1,0.5\n600,2,1,Weibull,1,0.5\n1200,0,0,,0,0\n1800,1,1,Gamma,1,1\n");
        write("chunk-0-dataset.json",
              "{\"0\": {\"input_tokens\": \"{10: 1.0}\", \"output_tokens\": \"{3: 0.5, 5: 5e-1}\"},"
              " \"1800\": {\"input_tokens\": \"{99: 1}\", \"output_tokens\": \"{1: 1}\"}}");
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }
    void write(const std::string& name, const std::string& text) {
        std::ofstream(directory_ / name) << text;
    }
    std::string error() {
        try {
            servegen_stream(directory_, {});
        } catch (const InputError& e) {
            return e.what();
        }
        return "";
    }
    const std::filesystem::path directory_ =
        std::filesystem::temp_directory_path() /
        (std::string("orrery_servegen_") +
         testing::UnitTest::GetInstance()->current_test_info()->name());
};

// 2,400 requests in the first 1,200 s (deviation 49), none for 600 s, 600 in the last 600 s.
TEST_F(ServeGen, RatesAndLengthsFollowTheirWindows) {
    const RequestStream stream = servegen_stream(directory_, {.end_seconds = 2400});
    int early = 0, late = 0;
    double last = 0;
    while (const auto request = stream.next()) {
        const double at = to_seconds(request->arrival).value();
        EXPECT_GE(at, last);
        last = at;
        EXPECT_TRUE(at < 1200 || at >= 1800);
        ++(at < 1200 ? early : late);
        EXPECT_EQ(request->prompt_tokens, at < 1800 ? 10 : 99);
        EXPECT_TRUE(request->output_tokens == (at < 1800 ? 3 : 1) || request->output_tokens == 5);
    }
    EXPECT_NEAR(early, 2400, 200);
    EXPECT_NEAR(late, 600, 100);
}

// From 1,500 s on at four times the rate: the first arrival is at least 300 s away.
TEST_F(ServeGen, PartOfADayAtAnotherRate) {
    const RequestStream stream =
        servegen_stream(directory_, {.rate_scale = 4, .begin_seconds = 1500, .end_seconds = 2400});
    int count = 0;
    double first = -1;
    while (const auto request = stream.next()) {
        if (++count == 1) first = to_seconds(request->arrival).value();
    }
    EXPECT_GE(first, 300);
    EXPECT_NEAR(count, 2400, 200);
}

TEST_F(ServeGen, WrongFilesAreNamed) {
    write("chunk-0-trace.csv", "0,2,1,Gamma,1,0.5\n600,-2,1,Gamma,1,0.5\n");
    EXPECT_EQ(error(), (directory_ / "chunk-0-trace.csv").string() +
                           ":2: rate = -2: must be a number from 0");
    write("chunk-0-trace.csv", "0,2,1,Gamma,1\n");
    EXPECT_TRUE(error().ends_with("chunk-0-trace.csv:1: must have 6 columns")) << error();
    std::filesystem::remove(directory_ / "chunk-0-trace.csv");
    EXPECT_TRUE(error().ends_with("chunk-0-trace.csv is missing")) << error();
    std::filesystem::remove(directory_ / "chunk-0-dataset.json");
    EXPECT_TRUE(error().ends_with("must hold chunk-N-trace.csv and chunk-N-dataset.json"));
}

}  // namespace
}  // namespace orrery
