#pragma once
// Two accelerator profiles compared: numbers side by side, tables row by row.

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "study/profile_answer.hpp"

namespace orrery {

// A number of both; an empty value where one has none.
struct NumberDiff {
    std::string name;
    ProfileEntry a, b;
    double ratio = 0;  // b over a; 0 where one is missing
};
// Rows of the same shape in the tables of a family; of several rows the first one that prices use.
struct FamilyDiff {
    std::string family;
    std::string value;  // what is compared: "time", "slowdown"
    std::size_t matched = 0, only_a = 0, only_b = 0;
    double median = 0, least = 0, most = 0;  // ratio b / a of that
    std::string farthest;                    // the shape whose ratio is farthest from 1
};
struct ProfileDiff {
    std::string a, b;  // names
    std::vector<NumberDiff> numbers;
    std::vector<FamilyDiff> families;
};

// Throws InputError for a name that is no accelerator profile.
ProfileDiff diff_profiles(const std::string& a, const std::string& b,
                          const std::filesystem::path& profiles);

}  // namespace orrery
