#pragma once
// Reads the architecture of a model from its Hugging Face config.json, the file as it is published.
// Keys that do not describe the architecture (torch_dtype, token ids, dropout, ...) are ignored;
// one that is needed and missing, or impossible, is an InputError naming file, key, value and rule.

#include <filesystem>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "model/model_spec.hpp"

namespace orrery {

// What `architectures` may name, in alphabetical order.
const std::vector<std::string>& supported_architectures();

// `name` is how results call the model; the file's name where it is empty.
ModelSpec read_model_config(const ConfigNode& config, const std::string& name = "");
ModelSpec load_model(const std::filesystem::path& file);

}  // namespace orrery
