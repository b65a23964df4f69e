#include "core/error.hpp"

#include <algorithm>

namespace orrery {
namespace {

std::string one_line(std::string text) {
    std::replace_if(
        text.begin(), text.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return text;
}

}  // namespace

InputError::InputError(const std::string& line) : std::runtime_error(one_line(line)) {}

InputError::InputError(const std::string& file, const std::string& key, const std::string& value,
                       const std::string& rule)
    : InputError(file + ": " + key + (value.empty() ? "" : " = " + value) + ": " + rule) {}

}  // namespace orrery
