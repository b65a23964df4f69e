#pragma once
// Where answers go: stdout as text or JSON, and files under --out.

#include <filesystem>
#include <string>
#include <string_view>

#include "app/command.hpp"
#include "report/terminal.hpp"

namespace orrery {

TerminalStyle terminal_style(const CommandContext& context);

// Throws InputError where --out names something that is not a directory, or its parent cannot be
// written, before any work is done.
void check_out_dir(const CommandContext& context);

// "wrote FILE" on stderr, on a terminal only and not with --quiet.
void tell_written(const CommandContext& context, const std::filesystem::path& file);
// Writes DIR/name where --out was given.
void write_out(const CommandContext& context, std::string_view name, std::string_view text);

// Writes the file of --missing-shapes where it was given.
void write_missing_shapes(const CommandContext& context, const std::vector<std::string>& shapes);

// One line on stderr that replaces itself; nothing where progress is not shown.
class ProgressLine {
  public:
    explicit ProgressLine(const CommandContext& context);
    ~ProgressLine();
    void show(std::string_view text);
    void clear();

  private:
    const CommandContext& context_;
    bool drawn_ = false;
};

}  // namespace orrery
