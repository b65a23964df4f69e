#pragma once
// Ctrl-C and SIGTERM: unfinished files are removed, one line goes to stderr, exit code 130 or 143.

namespace orrery {

void install_interrupt_handler();

}  // namespace orrery
