#pragma once
// Runs the program under test and keeps what it printed.

#include <filesystem>
#include <string>
#include <vector>

#include "core/config.hpp"

namespace orrery {

struct ProcessResult {
    int exit_code = -1;  // 128 + signal where one ended it
    std::string out, error;
};

// A started process whose streams go to files; wait() collects them.
class Process {
  public:
    explicit Process(const std::vector<std::string>& arguments,
                     const char* program = ORRERY_BINARY);
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    void signal(int number) const;
    ProcessResult wait();

  private:
    std::filesystem::path dir_;
    int pid_ = -1;
};

ProcessResult run_orrery(const std::vector<std::string>& arguments);
ProcessResult run_calibrate(const std::vector<std::string>& arguments);
// What orrery answers with --format json; the test fails where it does not end well.
ConfigNode json_of(std::vector<std::string> arguments);
// Exit code 2, one line of error that holds `message`, and nothing on standard output.
void expect_refused(const std::vector<std::string>& arguments, const std::string& message);
void expect_refused(const ProcessResult& result, const std::string& message);

// A directory of its own for a test, removed at the end.
class TemporaryDir {
  public:
    TemporaryDir();
    ~TemporaryDir();
    TemporaryDir(const TemporaryDir&) = delete;
    TemporaryDir& operator=(const TemporaryDir&) = delete;
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
    std::filesystem::path put(const std::string& name, const std::string& text) const;
    std::vector<std::string> names() const;  // everything below, sorted

  private:
    std::filesystem::path path_;
};

std::string read_text(const std::filesystem::path& file);

}  // namespace orrery
