#include "app/output.hpp"

#include <ostream>

#include <unistd.h>

#include "core/error.hpp"
#include "report/atomic_file.hpp"
#include "report/missing_shapes.hpp"
#include "report/text_table.hpp"

namespace orrery {

namespace fs = std::filesystem;

TerminalStyle terminal_style(const CommandContext& context) {
    return {context.width(), context.use_color(), true};
}

void check_out_dir(const CommandContext& context) {
    if (!context.out_dir) return;
    std::error_code ec;
    if (fs::exists(*context.out_dir, ec) && !fs::is_directory(*context.out_dir, ec)) {
        throw InputError("--out " + context.out_dir->string() + ": is a file, must be a directory");
    }
    // The nearest directory that exists takes the new ones.
    fs::path above = fs::absolute(*context.out_dir, ec);
    while (!fs::exists(above, ec) && above != above.root_path()) above = above.parent_path();
    if (access(above.c_str(), W_OK) != 0) {
        throw InputError("--out " + context.out_dir->string() + ": cannot be written");
    }
}

void tell_written(const CommandContext& context, const fs::path& file) {
    if (context.show_progress()) context.error << "wrote " << file.string() << '\n';
}

void write_out(const CommandContext& context, std::string_view name, std::string_view text) {
    if (!context.out_dir) return;
    const fs::path file = *context.out_dir / name;
    write_file(file, text);
    tell_written(context, file);
}

void write_missing_shapes(const CommandContext& context, const std::vector<std::string>& shapes) {
    if (!context.missing) return;
    write_file(*context.missing, missing_shapes_json({shapes.begin(), shapes.end()}));
    tell_written(context, *context.missing);
}

ProgressLine::ProgressLine(const CommandContext& context) : context_(context) {}

ProgressLine::~ProgressLine() { clear(); }

void ProgressLine::show(std::string_view text) {
    if (!context_.show_progress()) return;
    std::string line(text);
    const auto most = static_cast<std::size_t>(context_.width() - 1);
    if (display_width(line) > most) line.resize(most);
    context_.error << "\r\033[K" << line << std::flush;
    drawn_ = true;
}

void ProgressLine::clear() {
    if (drawn_) context_.error << "\r\033[K" << std::flush;
    drawn_ = false;
}

}  // namespace orrery
