#pragma once
// Which bytes a run read, so that a result can be told from one with other profiles.

#include <filesystem>

#include "core/run_result.hpp"

namespace orrery {

// 64-bit FNV-1a of a file's bytes; of a directory, of the names and bytes of the .json files in it,
// in order of their paths. Throws InputError where one cannot be read.
InputFile hashed_input(const std::filesystem::path& path);

}  // namespace orrery
