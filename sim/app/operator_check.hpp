#pragma once
// orrery operator check: leave-one-out errors of a profile's tables.

#include <string>

#include "app/command.hpp"

namespace orrery {

void print_table_check(const std::string& profile, bool fit, const CommandContext& context);

}  // namespace orrery
