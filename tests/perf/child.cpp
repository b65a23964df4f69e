#include "child.hpp"

#include <stdexcept>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orrery::perf {

ChildUse measure_in_child(const std::function<double()>& work) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("no pipe");
    const pid_t child = fork();
    if (child < 0) throw std::runtime_error("no child process");
    if (child == 0) {
        close(ends[0]);
        int code = 1;
        try {
            const double result = work();
            if (write(ends[1], &result, sizeof result) == sizeof result) code = 0;
        } catch (...) {
            code = 1;
        }
        _exit(code);
    }
    close(ends[1]);
    ChildUse use;
    const bool whole = read(ends[0], &use.result, sizeof use.result) == sizeof use.result;
    close(ends[0]);
    int status = 0;
    rusage usage{};
    wait4(child, &status, 0, &usage);
    if (!whole || status != 0) throw std::runtime_error("the child process failed");
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    use.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    use.peak_bytes = static_cast<double>(usage.ru_maxrss) * 1024;
    return use;
}

}  // namespace orrery::perf
