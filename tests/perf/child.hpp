#pragma once
// CPU time and memory of one piece of work, measured in a process of its own so that neither what
// ran before nor the benchmark program itself counts.

#include <functional>

namespace orrery::perf {

struct ChildUse {
    double result = 0;       // what the work returned
    double cpu_seconds = 0;  // user and system
    double peak_bytes = 0;   // resident, at most
};

// Runs `work` in a forked child. Throws std::runtime_error where the child fails.
ChildUse measure_in_child(const std::function<double()>& work);

}  // namespace orrery::perf
