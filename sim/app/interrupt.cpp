#include "app/interrupt.hpp"

#include <csignal>
#include <string_view>

#include <unistd.h>

#include "report/atomic_file.hpp"

namespace orrery {
namespace {

// Only async-signal-safe calls.
extern "C" void on_interrupt(int signal_number) {
    remove_unfinished_files();
    constexpr std::string_view message = "\nerror: interrupted, nothing half-written is left\n";
    [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, message.data(), message.size());
    _exit(128 + signal_number);
}

}  // namespace

void install_interrupt_handler() {
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

}  // namespace orrery
