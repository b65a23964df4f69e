#pragma once
// A chain of what-ifs: a training scenario from its ideal to all that is modelled, one mechanism
// more in each step, so that a published figure can be taken apart into causes. Format:
// scenarios/README.md.
//
// Beside what the replay gives on pipeline rank 0, each row has the bubble that an even pipeline
// would have: DualPipe (or the plan's schedule) with this row's own mean pass times on every rank,
// free sends and nothing else. What the bubble has beyond it comes from ranks that differ.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "study/run.hpp"
#include "study/scenario.hpp"

namespace orrery {

struct ChainStep {
    std::string name;
    std::string why;                // where its input comes from; may be empty
    std::vector<std::string> sets;  // "key=value", on top of the steps before
};
struct Chain {
    std::filesystem::path file;
    std::string name;
    std::filesystem::path scenario;
    std::vector<ChainStep> steps;
};

// Seconds; on pipeline rank 0 unless named otherwise.
struct ChainRow {
    std::string name;
    double step = 0, forward = 0, backward = 0, backward_weight = 0, forward_backward = 0;
    double bubble = 0, optimizer = 0;
    double even_bubble = 0;
    double pair = 0;         // mean overlapped pair
    double traced_pair = 0;  // chunk pair of four MoE layers alone
    double waiting = 0;      // within passes, for peers of a collective
    double mean_bubble = 0;  // over pipeline ranks
    std::int64_t ranks_simulated = 0;
    double wall = 0;
};
struct ChainAnswer {
    std::vector<ChainRow> rows;  // one a step
    ChainRow published;          // 0 where the scenario has no such figure
};

// Throws InputError: unreadable, unknown keys, a step without a name.
Chain load_chain(const std::filesystem::path& file);
// `sets` hold for every step, over the chain's own. `before_step` is called with each index.
ChainAnswer run_chain(const Chain& chain, const std::vector<std::string>& sets,
                      const RunRequest& request,
                      const std::function<void(std::size_t)>& before_step);

}  // namespace orrery
