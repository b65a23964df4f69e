// orrery collective KIND: one collective or expert all-to-all on a cluster's network.

#include "app/command_collective.hpp"

#include <CLI/CLI.hpp>

#include "app/command.hpp"

namespace orrery {
namespace {

// What adds the kinds, one file each.
constexpr void (*kKinds[])(CLI::App&, CommandContext&) = {
    add_flow_collectives,
    add_expert_collectives,
};

}  // namespace

void add_collective_command(CLI::App& app, CommandContext& context) {
    CLI::App* command = app.add_subcommand(
        "collective", "One collective or expert all-to-all on a cluster's network");
    command->require_subcommand(1);
    for (const auto add_kind : kKinds) add_kind(*command, context);
}

}  // namespace orrery
