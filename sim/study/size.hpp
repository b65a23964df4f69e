#pragma once
// How many nodes a workload needs under its slo: the fewest GPUs over the numbers of engines in a
// serving scenario's pools. Sizes below the bounds of serving/size_bounds.hpp are left out, others
// are replayed, request by request, in the order of study/size_search.hpp. A size will do where the
// run keeps the promise (serving/service_promise.hpp).
//
// Everything but the numbers of engines is the scenario's: its cluster is taken to have as many
// nodes as are asked for.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/run_result.hpp"
#include "study/scenario.hpp"
#include "study/size_search.hpp"

namespace orrery {

inline constexpr std::int64_t kMostNodes = 64;

struct SizeRequest {
    std::filesystem::path profiles = {};
    std::int64_t most_nodes = kMostNodes;
    std::vector<std::string> pools = {};  // "prefill=1..8", "decode=2": engines to choose from
    bool every = false;                   // replay every size that the bounds leave
    std::function<void(const std::string&)> progress = {};
};

// A size and what its replay showed.
struct TriedSize {
    Engines engines;
    std::int64_t gpus = 0;
    RunResult result;
    std::vector<std::string> missed;  // of the promise; empty: it will do
};

struct SizeAnswer {
    std::vector<std::string> pools;   // names
    std::vector<TriedSize> tried;     // by GPUs, then by engines
    std::optional<std::size_t> best;  // of tried
    // The answer as a run's: metrics of the size that will do, tables "sizes" and "rejected".
    RunResult result;
};

// Throws InputError where the scenario is wrong or not serving, has no slo, or where its engines
// come and go by themselves.
SizeAnswer size_scenario(const Scenario& scenario, const SizeRequest& request);

}  // namespace orrery
