#pragma once
// orrery operator check: leave-one-out errors of a profile's tables.

#include <string>

#include "app/command.hpp"

namespace orrery {

// Prices beside held-out measurements of `file`: Markdown, as reports/ holds it, or JSON.
void print_held_out(const std::string& profile, const std::string& file,
                    const CommandContext& context);
void print_table_check(const std::string& profile, bool fit, const CommandContext& context);

}  // namespace orrery
