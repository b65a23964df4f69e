#pragma once
// Cases side by side: the cartesian product of values given for keys, each run on its own.

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/run_result.hpp"
#include "study/run.hpp"

namespace orrery {

struct ComparedCase {
    std::vector<std::pair<std::string, std::string>> settings;  // key, value as given
    std::optional<RunResult> result;
    std::string impossible;                        // why there is no result
    std::vector<std::string> missing_shapes = {};  // where operators had no price
};

// "plan.schedule=1f1b,zb1p" for every axis; commas inside brackets, braces and quotes belong to the
// value. The last axis varies fastest. Throws InputError for an axis without "=" or values, and for
// more than 1,000 cases.
std::vector<ComparedCase> expand_cases(const std::vector<std::string>& axes);

// Runs every case of `file` with `sets` and its own settings applied in this order. A case that
// cannot be is an answer; where no case can be, the first one's error is thrown, and a value that
// is wrong by itself (MalformedError) ends the comparison. `before_case` is
// called with the index of each case.
void run_cases(std::vector<ComparedCase>& cases, const std::filesystem::path& file,
               const std::vector<std::string>& sets, const RunRequest& request,
               const std::function<void(std::size_t)>& before_case);

}  // namespace orrery
