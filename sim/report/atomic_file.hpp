#pragma once
// A file that appears complete or not at all: written under a temporary name in the same directory,
// renamed on commit(). Two programs writing the same path do not mix; the last to commit wins.

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace orrery {

class AtomicFile {
  public:
    // Creates missing directories. Throws InputError where the place cannot be written.
    explicit AtomicFile(std::filesystem::path path);
    ~AtomicFile();  // not committed: the temporary file is removed
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    void write(std::string_view text);
    void commit();

  private:
    [[noreturn]] void fail(const char* what);
    std::filesystem::path path_, temporary_;
    std::FILE* file_ = nullptr;
    int slot_ = -1;  // entry in the table of unfinished files
};

// All of `text` at once.
void write_file(const std::filesystem::path& path, std::string_view text);

// Removes the temporary files this process has open. Async-signal-safe, for a signal handler that
// exits next.
void remove_unfinished_files();

}  // namespace orrery
