#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/terminal.hpp"
#include "report/text_table.hpp"
#include "sample_result.hpp"

namespace orrery {

using testing::HasSubstr;
using testing::Not;

// Error of the sample's step time: (20.312 - 19.926) / 19.926 = 1.94 %.
TEST(Terminal, EachLineHasPredictedPublishedErrorOrigin) {
    const std::string text = render_metrics(sample_result(), {120, false, true});
    EXPECT_THAT(text,
                testing::ContainsRegex("time per step +20.31 s +19.926 s +\\+1.9 % +assumed"));
    EXPECT_THAT(text, testing::ContainsRegex("one overlapped F&B chunk pair +131.0 ms +published"));
    EXPECT_THAT(text, HasSubstr("A paper, Table 4: time per step"));
    EXPECT_THAT(text, HasSubstr("cost: excludes earlier research"));
}

TEST(Terminal, ChangedScenarioHasNoErrorsAndSaysWhoseThePublishedFiguresAre) {
    RunResult result = sample_result();
    result.changed = {"plan.pp=8", "train.tokens=1e12"};
    const std::string text = render_metrics(result, {120, false, true});
    EXPECT_THAT(text, HasSubstr("published, as shipped"));
    EXPECT_THAT(text, HasSubstr("Changed here: plan.pp=8, train.tokens=1e12. Published figures"));
    EXPECT_THAT(text, testing::ContainsRegex("time per step +20.31 s +19.926 s +assumed"));
    EXPECT_THAT(text, Not(HasSubstr("error  ")));
    EXPECT_THAT(text, Not(HasSubstr("+1.9 %")));
}

TEST(Terminal, NoPublishedColumnsWithoutPublishedFigures) {
    RunResult result = sample_result();
    result.published.clear();
    const std::string text = render_metrics(result, {100, false, true});
    EXPECT_THAT(text, Not(HasSubstr("published   ")));
    EXPECT_THAT(text, Not(HasSubstr("error")));
}

TEST(Terminal, StaysWithinTheWidth) {
    for (const int width : {80, 120, 200}) {
        const std::string text = render_answer(sample_result(), {width, false, true});
        for (std::size_t begin = 0; begin < text.size();) {
            const std::size_t end = text.find('\n', begin);
            EXPECT_LE(display_width(text.substr(begin, end - begin)),
                      static_cast<std::size_t>(width))
                << text.substr(begin, end - begin);
            begin = end + 1;
        }
    }
}

// Forward alone on the three ranks: 1, 3, 2 s: mean 2, least on rank 0, most on rank 1.
TEST(Terminal, RanksAreSummarisedAsMeanAndRange) {
    const std::string text = render_breakdown(sample_result().breakdown[1], {100, false, true});
    EXPECT_THAT(text, testing::ContainsRegex("forward alone +2.000 s +1.000 s +0 +3.000 s +1"));
}

TEST(Terminal, SourcesComeStrongestFirst) {
    const std::string text = render_sources(sample_result(), {100, false, true});
    const std::size_t measured = text.find("GEMM table"), published = text.find("NIC bandwidth"),
                      given = text.find("GPU price");
    EXPECT_LT(measured, published);
    EXPECT_LT(published, given);
}

TEST(Terminal, PlainTextHasNoEscapes) {
    EXPECT_THAT(render_answer(sample_result(), {100, false, true}), Not(HasSubstr("\033")));
    EXPECT_THAT(render_answer(sample_result(), {100, true, true}), HasSubstr("\033[1m"));
}

TEST(Terminal, SaysWhetherIdenticalRanksWereFolded) {
    RunResult result = sample_result();
    EXPECT_THAT(render_answer(result, {200, false, true}), HasSubstr("2,048 GPUs (16 simulated"));
    result.ranks_simulated = 2048;
    EXPECT_THAT(render_answer(result, {200, false, true}), HasSubstr("2,048 GPUs, each simulated"));
}

}  // namespace orrery
