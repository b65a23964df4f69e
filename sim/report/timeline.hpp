#pragma once
// A timeline in the Chrome JSON trace event format, which https://ui.perfetto.dev and
// chrome://tracing open: a process per rank, a thread per stream, one complete ("X") event per
// span. Times are microseconds with six decimals, so that picoseconds survive.

#include <filesystem>

#include "core/run_result.hpp"

namespace orrery {

// Streamed to a temporary file and renamed: memory does not grow with the timeline. Throws
// InputError where the file cannot be written.
void write_timeline(const Timeline& timeline, const std::filesystem::path& path);

}  // namespace orrery
