#pragma once
// Measurements to an accelerator profile (format: hw_profiles/README.md), all in one file.
//
// Every table written here says so in its "about" and is replaced by the next writing that measured
// its family. What a person put into the profile stays: tables without that mark, which come first
// within their family and origin, and single numbers that nobody measured.

#include <filesystem>
#include <string>

#include "calibrate/results.hpp"

namespace orrery::calibrate {

// The profile's text; `file`, where it exists, is what a person may have added to. Throws
// InputError where a number that every profile needs is neither measured, nor in the file, nor in a
// data sheet; it names the families that measure it.
std::string profile_json(const Results& results, const std::filesystem::path& file);

// Writes the profile; first has the simulator load it, and leaves the file alone where that fails.
void write_profile(const Results& results, const std::filesystem::path& file);

}  // namespace orrery::calibrate
