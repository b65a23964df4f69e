#pragma once
// What the commands of `orrery` share: options, streams, where profiles lie, the exit code. One
// command is one file, command_<name>.cpp, with one function that adds it to the command line.

#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "core/run_result.hpp"

namespace CLI {
class App;
}

namespace orrery {

enum class OutputFormat { text, json };

// Exit codes: 0 an answer was printed, 1 it shows a failed check (validate past its bounds) or none
// was found (size), 2 bad input, 3 the simulation could not go on, 130 interrupted.
struct CommandContext {
    CommandContext(std::ostream& out_stream, std::ostream& error_stream)
        : out(out_stream), error(error_stream) {}

    OutputFormat format = OutputFormat::text;       // --format text|json
    std::optional<std::filesystem::path> out_dir;   // --out DIR
    bool quiet = false;                             // --quiet: no progress, no hints
    std::string color = "auto";                     // --color auto|always|never
    std::vector<std::string> sets;                  // --set key=value, in order
    std::optional<std::filesystem::path> missing;   // --missing-shapes FILE
    std::optional<std::filesystem::path> profiles;  // --profiles DIR
    ProgramStamp program;                           // version, commit, dirty, command line
    std::ostream& out;                              // answers
    std::ostream& error;                            // errors and progress
    int exit_code = 0;                              // set by the command

    // Directory that holds accelerators/ and clusters/: --profiles, else ORRERY_PROFILES, else
    // hw_profiles/ in a directory above `near` (a scenario file), else the source tree's.
    std::filesystem::path profile_dir(const std::filesystem::path& near = {}) const;
    // Columns of the terminal, 100 where the output is none; 0 < COLUMNS overrides.
    int width() const;
    // True where escape sequences may be printed: --color, NO_COLOR, and whether it is a terminal.
    bool use_color() const;
    // True where progress may be drawn on stderr: a terminal, not --quiet.
    bool show_progress() const;
};

// scenarios/validation of the current directory or one above, else of the source tree.
std::filesystem::path validation_cases();

// --set, --out and --missing-shapes, for commands that read a scenario. --format, --quiet, --color
// and --profiles are added to every command by main.
void add_scenario_options(CLI::App& command, CommandContext& context);

// "cluster.nodes=16" to "nodes=16", for commands that read a cluster and no scenario. Throws
// InputError for another key.
std::vector<std::string> cluster_sets(const std::vector<std::string>& sets);

// Each adds one subcommand; its callback writes to context.out, sets context.exit_code, and throws
// InputError or SimulationError. Defined in command_<name>.cpp and listed in main.cpp.
void add_run_command(CLI::App& app, CommandContext& context);
void add_compare_command(CLI::App& app, CommandContext& context);
void add_validate_command(CLI::App& app, CommandContext& context);
void add_model_command(CLI::App& app, CommandContext& context);
void add_schedule_command(CLI::App& app, CommandContext& context);
void add_operator_command(CLI::App& app, CommandContext& context);
void add_profile_command(CLI::App& app, CommandContext& context);
void add_topology_command(CLI::App& app, CommandContext& context);
void add_collective_command(CLI::App& app, CommandContext& context);
void add_routing_command(CLI::App& app, CommandContext& context);
void add_chain_command(CLI::App& app, CommandContext& context);
void add_claims_command(CLI::App& app, CommandContext& context);
void add_size_command(CLI::App& app, CommandContext& context);

}  // namespace orrery
