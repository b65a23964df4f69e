#pragma once
// The kinds of `orrery collective`; each adds its subcommands. Defined in command_collective_*.cpp.

#include "app/command.hpp"

namespace orrery {

void add_flow_collectives(CLI::App& collective, CommandContext& context);
void add_expert_collectives(CLI::App& collective, CommandContext& context);

}  // namespace orrery
