#include "core/error.hpp"

namespace orrery {

InputError::InputError(const std::string& file, const std::string& key, const std::string& value,
                       const std::string& rule)
    : std::runtime_error(file + ": " + key + (value.empty() ? "" : " = " + value) + ": " + rule) {}

}  // namespace orrery
