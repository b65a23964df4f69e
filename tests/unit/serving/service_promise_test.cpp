// What a run has to show to keep a promise, and what it says where it does not.
#include "serving/service_promise.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

SimDuration seconds(double s) { return to_sim_duration(Seconds(s)); }

// 100 requests that arrived, 97 ended: first tokens after 1, 2, ... 97 s; 90 within the objectives.
ServingResult run() {
    ServingResult result;
    result.arrived = 100;
    result.finished = 97;
    result.good = 90;
    for (int i = 1; i <= 97; ++i) {
        result.ttft.add(seconds(i));
        result.tpot.add(seconds(0.01));
    }
    return result;
}

}  // namespace

TEST(ServicePromise, ShareOfThoseThatArrived) {
    ServicePromise promise;
    promise.objectives.ttft = seconds(90);
    promise.attainment = 0.9;
    EXPECT_THAT(shortfalls(promise, run()), IsEmpty());
    promise.attainment = 0.91;  // the 91 %th of 97 first tokens came after 89 s: within 90 s
    EXPECT_THAT(shortfalls(promise, run()),
                ElementsAre(HasSubstr("90.00 % were within the objectives, must be 91 %: of those "
                                      "that ended enough kept each time")));
    promise.attainment = 0.99;  // ceil(0.99 x 97) = the 97th
    EXPECT_THAT(shortfalls(promise, run()),
                ElementsAre(HasSubstr("ttft of 99 % 97.00 s, must be 90.00 s (+8 %)")));
}

// The nearest rank of 90 % of 97 is the 88th: 88 s within the sketch's 0.4 %. Times at the target
// are kept.
TEST(ServicePromise, Targets) {
    ServicePromise promise;
    promise.attainment = 0.5;
    promise.targets = {{ServiceTime::ttft, 0.9, seconds(89), "ttft_p90"},
                       {ServiceTime::tpot, 0, seconds(0.01), "tpot_mean"}};
    EXPECT_THAT(shortfalls(promise, run()), IsEmpty());
    promise.targets[0].most = seconds(80);
    EXPECT_THAT(shortfalls(promise, run()),
                ElementsAre(testing::MatchesRegex("ttft_p90 8[78]\\.[0-9]+ s, must be 80.00 s "
                                                  "\\(\\+(9|10) %\\)")));
}

TEST(ServicePromise, WithoutObjectivesThoseThatEndCount) {
    ServicePromise promise;
    EXPECT_FALSE(promise.any());
    promise.targets = {{ServiceTime::ttft, 0.5, seconds(89), "ttft_p50"}};
    ServingResult result = run();
    result.good = result.finished;
    EXPECT_THAT(shortfalls(promise, result), ElementsAre("97.00 % ended, must be 99 %"));
}

TEST(ServicePromise, AQueueThatGrowsBreaksIt) {
    ServicePromise promise;
    promise.attainment = 0.5;
    promise.objectives.ttft = seconds(1000);
    ServingResult result = run();
    result.verdict = Verdict::overloaded;
    result.verdict_reason = "why";
    EXPECT_THAT(shortfalls(promise, result), ElementsAre("OVERLOADED: why"));
}

}  // namespace orrery
