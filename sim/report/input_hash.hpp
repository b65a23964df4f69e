#pragma once
// Which bytes a run read, so that a result can be told from one with other profiles.

#include <filesystem>
#include <string>

#include "core/run_result.hpp"

namespace orrery {

// 64-bit FNV-1a of a file's bytes, hexadecimal; of a directory, of the names and bytes of the .json
// files in it, in order of their paths. Throws InputError where one cannot be read.
std::string input_hash(const std::filesystem::path& path);
// Fills in the hash of every input of a result.
void hash_inputs(RunResult& result);

}  // namespace orrery
