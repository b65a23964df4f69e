#pragma once
// The answer of a run as a person reads it in a terminal.

#include <string>

#include "core/run_result.hpp"

namespace orrery {

struct TerminalStyle {
    int width = 100;      // columns
    bool color = false;   // escape sequences allowed
    bool details = true;  // breakdown tables and sources too
};

// What was simulated, every metric beside its published figure, what it is made of, notes, and
// where the hardware numbers come from.
std::string render_answer(const RunResult& result, const TerminalStyle& style);

// Its parts, each a block of lines that ends with a newline or nothing at all.
std::string render_metrics(const RunResult& result, const TerminalStyle& style);
std::string render_breakdown(const ResultTable& table, const TerminalStyle& style);
std::string render_notes(const RunResult& result, const TerminalStyle& style);
std::string render_sources(const RunResult& result, const TerminalStyle& style);

}  // namespace orrery
