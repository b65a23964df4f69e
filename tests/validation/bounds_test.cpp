// Every published figure has a bound on its error, every prediction is within it, and no bound was
// loosened without a word: bounds.json may only tighten, but for what loosened.json names.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>

#include <gtest/gtest.h>

#include "study/run.hpp"
#include "study/validate.hpp"

namespace orrery {
namespace {

constexpr const char* kBounds = "tests/validation/bounds.json";
constexpr const char* kLoosened = "tests/validation/loosened.json";

// (case, metric) -> the bound it was widened to, with a reason.
std::map<std::pair<std::string, std::string>, double> loosened() {
    std::map<std::pair<std::string, std::string>, double> all;
    for (const ConfigNode& entry : ConfigNode::load(kLoosened).elements()) {
        const double from = entry.at("from").as_number(), to = entry.at("to").as_number();
        EXPECT_LT(from, to);
        EXPECT_GT(entry.at("why").as_string().size(), 40u);
        all[{entry.at("case").as_string(), entry.at("metric").as_string()}] = to;
        entry.reject_unknown_keys();
    }
    return all;
}

std::string output_of(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
    std::string text;
    std::array<char, 4096> buffer{};
    while (pipe && !feof(pipe.get())) {
        text.append(buffer.data(), fread(buffer.data(), 1, buffer.size(), pipe.get()));
    }
    return text;
}

ValidationBounds bounds_of(const std::string& text, const std::string& name) {
    return read_bounds(ConfigNode::parse(text, name));
}

}  // namespace

TEST(Bounds, EveryPredictionIsWithinItsBound) {
    const ValidationBounds bounds = load_bounds(kBounds);
    RunRequest request;
    request.profiles = "hw_profiles";
    for (const ValidationCase& which : find_validation_cases("scenarios/validation", "")) {
        const RunResult result = run_scenario(load_scenario(which.file, {}), request).result;
        for (const PublishedFigure& figure : result.published) {
            const Metric* metric = result.find(figure.metric);
            ASSERT_NE(metric, nullptr) << figure.metric;
            const double error = std::fabs(metric->value / figure.value - 1);
            const auto bound = bound_of(bounds, which.name, figure.metric);
            ASSERT_TRUE(bound) << which.name << " " << figure.metric << ": no bound";
            EXPECT_LE(error, *bound) << which.name << " " << figure.metric << ": predicted "
                                     << metric->value << ", published " << figure.value;
        }
    }
}

TEST(Bounds, NameFiguresThatExist) {
    const auto cases = find_validation_cases("scenarios/validation", "");
    for (const auto& [name, metrics] : load_bounds(kBounds)) {
        const auto found = std::find_if(cases.begin(), cases.end(),
                                        [&, n = name](const auto& c) { return c.name == n; });
        ASSERT_NE(found, cases.end()) << name;
        const Scenario scenario = load_scenario(found->file, {});
        for (const auto& [metric, bound] : metrics) {
            EXPECT_TRUE(std::any_of(scenario.published.begin(), scenario.published.end(),
                                    [&, m = metric](const auto& f) { return f.metric == m; }))
                << name << " " << metric;
        }
    }
}

// Against every committed version of the file; a checkout without history has nothing to compare.
TEST(Bounds, WereNeverLoosenedWithoutAReason) {
    const ValidationBounds now = load_bounds(kBounds);
    const auto widened = loosened();
    for (const auto& [which, to] : widened) {
        EXPECT_LE(bound_of(now, which.first, which.second).value_or(2), to) << which.first;
    }
    const std::string commits =
        output_of("git log --format=%H -- tests/validation/bounds.json 2>/dev/null");
    if (commits.empty()) GTEST_SKIP() << "no history";
    for (std::size_t begin = 0; begin < commits.size(); begin = commits.find('\n', begin) + 1) {
        const std::string commit = commits.substr(begin, commits.find('\n', begin) - begin);
        std::string show = "git show ";
        show.append(commit).append(":").append(kBounds).append(" 2>/dev/null");
        const std::string text = output_of(show);
        if (text.empty()) continue;
        for (const auto& [name, metrics] : bounds_of(text, commit)) {
            for (const auto& [metric, bound] : metrics) {
                const auto later = bound_of(now, name, metric);
                EXPECT_TRUE(later) << name << " " << metric << ": dropped since " << commit;
                const auto reason = widened.find({name, metric});
                const double allowed = reason == widened.end() ? bound : reason->second;
                EXPECT_LE(later.value_or(bound), std::max(bound, allowed))
                    << name << " " << metric << ": " << commit;
            }
        }
    }
}

}  // namespace orrery
