// orrery: the command line. Commands are added from one table; errors a user can mend are one line
// on stderr.

#include <algorithm>
#include <exception>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "app/interrupt.hpp"
#include "app/program_stamp.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

// Every command, in the order of the help.
constexpr void (*kCommands[])(CLI::App&, CommandContext&) = {
    add_run_command,        add_compare_command,  add_validate_command, add_model_command,
    add_schedule_command,   add_operator_command, add_profile_command,  add_topology_command,
    add_collective_command, add_routing_command,  add_chain_command,    add_claims_command,
    add_size_command,
};

constexpr int kBadInput = 2;
constexpr int kCannotGoOn = 3;

void add_common_options(CLI::App& command, CommandContext& context) {
    command
        .add_option_function<std::string>(
            "--format",
            [&context](const std::string& text) {
                context.format = text == "json" ? OutputFormat::json : OutputFormat::text;
            },
            "How to print the answer: text (default) or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->type_name("FORMAT");
    command.add_flag("--quiet,-q", context.quiet, "No progress and no hints");
    command.add_option("--color", context.color, "auto (default), always or never")
        ->check(CLI::IsMember({"auto", "always", "never"}))
        ->type_name("WHEN");
    // Counting a model and drawing a schedule read no hardware.
    if (command.get_name() == "model" || command.get_name() == "schedule") return;
    command
        .add_option("--profiles", context.profiles,
                    "Directory of hardware profiles (default: hw_profiles/ above the scenario)")
        ->type_name("DIR");
}

std::string one_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

// What is wrong with the words that choose a command, or the kind of one that has kinds; empty
// where they are right or an option stands there.
std::string wrong_command(const CLI::App& app, int argc, char** argv, int at = 1) {
    const auto commands = app.get_subcommands({});
    const bool given = argc > at;
    if (commands.empty() || (given ? argv[at][0] == '-' : at == 1)) return "";
    std::string known;
    for (const CLI::App* command : commands) {
        if (given && command->get_name() == argv[at]) {
            return wrong_command(*command, argc, argv, at + 1);
        }
        known += (known.empty() ? "" : ", ") + command->get_name();
    }
    const std::string what = at == 1 ? "a command" : "a kind of " + app.get_name();
    return given ? fmt::format("{}: is not {}; known: {}", argv[at], what, known)
                 : fmt::format("{}: must be followed by one of: {}", app.get_name(), known);
}

std::string version_line(const ProgramStamp& stamp) {
    return "orrery " + stamp.version + " (" + stamp.commit + (stamp.dirty ? ", modified" : "") +
           ")";
}

int run_command_line(int argc, char** argv) {
    CommandContext context(std::cout, std::cerr);
    context.program = program_stamp();
    context.program.command_line.assign(argv, argv + argc);
    CLI::App app("Orrery predicts what an LLM cluster will do: time, memory, cost.", "orrery");
    app.set_version_flag("--version", version_line(context.program));
    app.require_subcommand(1);
    for (const auto add_command : kCommands) add_command(app, context);
    for (CLI::App* command : app.get_subcommands({})) add_common_options(*command, context);
    if (const std::string wrong = wrong_command(app, argc, argv); !wrong.empty()) {
        std::cerr << "error: " << wrong << '\n';
        return kBadInput;
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& help) {
        return app.exit(help, std::cout, std::cerr);
    } catch (const CLI::ParseError& e) {
        std::cerr << "error: " << one_line(e.what()) << '\n';
        return kBadInput;
    }
    return context.exit_code;
}

}  // namespace
}  // namespace orrery

int main(int argc, char** argv) {
    orrery::install_interrupt_handler();
    try {
        const int code = orrery::run_command_line(argc, argv);
        std::cout.flush();
        if (!std::cout) {
            std::cerr << "error: standard output: cannot be written\n";
            return orrery::kCannotGoOn;
        }
        return code;
    } catch (const orrery::InputError& e) {
        std::cerr << "error: " << orrery::one_line(e.what()) << '\n';
        return orrery::kBadInput;
    } catch (const orrery::SimulationError& e) {
        std::cerr << "error: the simulation stopped: " << orrery::one_line(e.what()) << '\n';
    } catch (const std::bad_alloc&) {
        std::cerr << "error: out of memory\n";
    } catch (const std::exception& e) {
        std::cerr << "error: " << orrery::one_line(e.what()) << '\n';
    }
    return orrery::kCannotGoOn;
}
