#include "study/size.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

#include <fmt/format.h>

#include "core/error.hpp"
#include "serving/size_bounds.hpp"
#include "study/serving_answer.hpp"
#include "study/serving_scenario.hpp"
#include "study/size_answer.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kMostEngines = 100'000;

// One engine in each pool, on a cluster of as many nodes as may be used.
ServingScenario read_smallest(Scenario scenario, const SizeRequest& request) {
    const ConfigNode& given = scenario.document;
    if (scenario.kind != "serving") given.at("kind").fail("must be \"serving\" to be sized");
    for (const std::string& text : scenario.changed) {
        if (!text.starts_with("cluster.nodes=")) continue;
        throw InputError(
            fmt::format("--set {}: the number of nodes is what is sought; --nodes "
                        "bounds it",
                        text));
    }
    if (const auto failures = given.find("failures")) {
        if (const auto at = failures->find("at")) {
            at->fail(
                "names engines, must be absent where their number is sought: give "
                "mean_time_between");
        }
    }
    std::string pools;
    for (ConfigNode pool : given.at("deployment").at("pools").elements()) {
        pool.set("engines", "1");
        pools += fmt::format("{}{}", pools.empty() ? "[" : ", ", pool.dump(-1));
    }
    scenario.document.set("cluster.nodes", std::to_string(request.most_nodes));
    scenario.document.set("deployment.pools", pools + "]");
    return read_serving_scenario(scenario, request.profiles);
}

void check(const Scenario& scenario, const ServingScenario& serving) {
    if (!serving.promise.any()) {
        throw InputError(
            fmt::format("{}: slo: must be given: an objective of each request such as slo.ttft = "
                        "\"2 s\" (--slo ttft=2s), or a target such as slo.ttft_p99 = \"2 s\"",
                        scenario.file.string()));
    }
    for (const PoolSpec& pool : serving.deployment.pools) {
        if (!pool.autoscale.on) continue;
        scenario.document.at("scheduling")
            .at(pool.name)
            .at("autoscale")
            .fail("must be absent where the number of engines is sought");
    }
}

std::int64_t whole_number(const std::string& option, std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 1 ||
        value > kMostEngines) {
        throw InputError(
            fmt::format("--pool {}: must be POOL=LEAST..MOST, whole numbers from 1 to "
                        "{}",
                        option, kMostEngines));
    }
    return value;
}

// "prefill=1..8" or "prefill=4".
void limit_pool(const std::string& option, const ServingScenario& serving, SizeSpace& space) {
    const std::size_t equals = option.find('=');
    const std::string name = option.substr(0, equals);
    const auto& pools = serving.deployment.pools;
    const auto pool =
        std::find_if(pools.begin(), pools.end(), [&](const PoolSpec& p) { return p.name == name; });
    if (equals == std::string::npos || pool == pools.end()) {
        std::string names;
        for (const PoolSpec& p : pools) names += (names.empty() ? "" : ", ") + p.name;
        throw InputError(
            fmt::format("--pool {}: must be POOL=LEAST..MOST with a pool of {}", option, names));
    }
    const std::string_view range = std::string_view(option).substr(equals + 1);
    const std::size_t dots = range.find("..");
    PoolRange& limits = space.pools[static_cast<std::size_t>(pool - pools.begin())];
    limits.least = whole_number(option, range.substr(0, dots));
    limits.most = dots == std::string_view::npos ? limits.least
                                                 : whole_number(option, range.substr(dots + 2));
    if (limits.least > limits.most) {
        throw InputError(fmt::format("--pool {}: the least must be at most the most", option));
    }
}

SizeSpace space_of(const ServingScenario& serving, const SizeRequest& request) {
    SizeSpace space;
    space.most_gpus = request.most_nodes * serving.gpus_per_node();
    for (const PoolSpec& pool : serving.deployment.pools) {
        space.pools.push_back({1, std::min(kMostEngines, space.most_gpus / pool.gpus_per_engine),
                               pool.gpus_per_engine});
    }
    for (const std::string& option : request.pools) limit_pool(option, serving, space);
    return space;
}

class Search {
  public:
    Search(const Scenario& scenario, ServingScenario& serving, const SizeRequest& request,
           SizeAnswer& answer)
        : scenario_(scenario), serving_(serving), request_(request), answer_(answer) {}

    bool try_size(const Engines& engines) {
        try {
            resize(serving_, engines);
        } catch (const InputError& e) {  // more nodes than the fabric holds
            answer_.tried.push_back({engines, serving_.gpus(), {}, {e.what()}});
            return false;
        }
        std::string label;
        for (std::size_t p = 0; p < engines.size(); ++p) {
            label += fmt::format("{}{} {}", p == 0 ? "" : " + ", engines[p], answer_.pools[p]);
        }
        if (request_.progress) {
            serving_.deployment.poll = [&, label](SimTime now) {
                request_.progress(
                    fmt::format("{}: simulated {} ...", label, to_text(to_seconds(now), 3)));
                return true;
            };
        }
        const auto start = std::chrono::steady_clock::now();
        const ServingResult simulated =
            simulate_serving(serving_.deployment, serving_.open_workload());
        if (simulated.arrived == 0) {
            scenario_.document.at("workload").fail("must hold at least one request");
        }
        TriedSize tried{engines, serving_.gpus(), serving_answer(scenario_, serving_, simulated),
                        shortfalls(serving_.promise, simulated)};
        const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
        tried.result.wall_seconds = wall.count();
        answer_.tried.push_back(std::move(tried));
        return answer_.tried.back().missed.empty();
    }

  private:
    const Scenario& scenario_;
    ServingScenario& serving_;
    const SizeRequest& request_;
    SizeAnswer& answer_;
};

}  // namespace

SizeAnswer size_scenario(const Scenario& scenario, const SizeRequest& request) {
    ServingScenario serving = read_smallest(scenario, request);
    check(scenario, serving);
    SizeAnswer answer;
    for (const PoolSpec& pool : serving.deployment.pools) answer.pools.push_back(pool.name);
    const SizeSpace stated = space_of(serving, request);
    if (request.progress) request.progress("bounding sizes ...");
    const SizeBounds bounds =
        bound_sizes(serving.deployment, serving.promise, serving.open_workload);
    SizeSpace space = stated;
    bool possible = bounds.impossible.empty();
    for (std::size_t p = 0; p < space.pools.size(); ++p) {
        space.pools[p].least = std::max(space.pools[p].least, bounds.least[p]);
        possible = possible && space.pools[p].least <= space.pools[p].most;
    }
    Search search(scenario, serving, request, answer);
    std::optional<Engines> best;
    if (possible) {
        best = fewest(
            space, [&](const Engines& engines) { return search.try_size(engines); }, request.every);
    }
    const auto cannot_be = [](const TriedSize& tried) { return tried.result.metrics.empty(); };
    if (!answer.tried.empty() && std::all_of(answer.tried.begin(), answer.tried.end(), cannot_be)) {
        throw InputError(answer.tried.front().missed.front());
    }
    std::sort(answer.tried.begin(), answer.tried.end(), [](const auto& a, const auto& b) {
        return std::pair(a.gpus, a.engines) < std::pair(b.gpus, b.engines);
    });
    for (std::size_t i = 0; i < answer.tried.size() && best; ++i) {
        if (answer.tried[i].engines == *best) answer.best = i;
    }
    write_size_answer(answer, scenario, serving, bounds, stated, request.every);
    answer.result.inputs = {{scenario.file.string(), ""},
                            {serving.model_file.string(), ""},
                            {request.profiles.string(), ""}};
    for (const auto& file : serving.trace_files)
        answer.result.inputs.push_back({file.string(), ""});
    return answer;
}

}  // namespace orrery
