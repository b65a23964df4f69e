#pragma once
// A file of expert loads: tokens (or any unit) that each expert received, a row a layer.
//
//   .csv   one line a layer, experts separated by commas; a first line without numbers is a header
//   .json  [..] for one layer, [[..], ..] for several, or {"loads": either}

#include <filesystem>
#include <vector>

namespace orrery {

// [layer][expert]. Throws InputError: unreadable, not numbers, negative, rows of different lengths.
std::vector<std::vector<double>> read_expert_loads(const std::filesystem::path& file);

}  // namespace orrery
