#pragma once
// The file that `orrery-calibrate --missing` reads.

#include <set>
#include <string>

namespace orrery {

// {"missing": [...]}, an entry (a JSON object) a line.
std::string missing_shapes_json(const std::set<std::string>& shapes);

}  // namespace orrery
