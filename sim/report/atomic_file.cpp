#include "report/atomic_file.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "core/error.hpp"

namespace orrery {
namespace {

// Names of temporary files now open. A signal handler cannot reach objects on the stack, so this
// one table is the process's, like the files themselves.
struct Slot {
    std::atomic<bool> taken{false};
    std::atomic<bool> armed{false};  // name is complete
    std::array<char, 4096> name{};
};
std::array<Slot, 16> unfinished;  // NOLINT: see above

int arm(const std::string& name) {
    if (name.size() >= unfinished[0].name.size()) return -1;
    for (std::size_t i = 0; i < unfinished.size(); ++i) {
        Slot& slot = unfinished[i];
        if (slot.taken.exchange(true)) continue;
        std::memcpy(slot.name.data(), name.c_str(), name.size() + 1);
        slot.armed = true;
        return static_cast<int>(i);
    }
    return -1;
}

void disarm(int index) {
    if (index < 0) return;
    Slot& slot = unfinished[static_cast<std::size_t>(index)];
    slot.armed = false;
    slot.taken = false;
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
    std::error_code ec;
    if (std::filesystem::is_directory(path_, ec)) {
        throw InputError(fmt::format("{}: is a directory, must be a file", path_.string()));
    }
    if (path_.has_parent_path()) {
        std::filesystem::create_directories(path_.parent_path(), ec);
        if (ec) {
            throw InputError(fmt::format("{}: cannot be created: {}", path_.parent_path().string(),
                                         ec.message()));
        }
    }
    static std::atomic<unsigned> count{0};
    temporary_ = path_;
    temporary_ += fmt::format(".{}.{}.part", getpid(), count++);
    slot_ = arm(temporary_.string());
    file_ = std::fopen(temporary_.c_str(), "wxb");
    if (file_ == nullptr) {
        const std::string reason = std::strerror(errno);
        disarm(slot_);
        throw InputError(fmt::format("{}: cannot be written: {}", path_.string(), reason));
    }
    std::setvbuf(file_, nullptr, _IOFBF, 1 << 18);
}

AtomicFile::~AtomicFile() {
    if (file_ != nullptr) std::fclose(file_);
    if (!temporary_.empty()) {
        std::error_code ec;
        std::filesystem::remove(temporary_, ec);
        disarm(slot_);
    }
}

void AtomicFile::write(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) fail("cannot be written");
}

void AtomicFile::commit() {
    const bool flushed = std::fflush(file_) == 0;
    if (std::fclose(std::exchange(file_, nullptr)) != 0 || !flushed) fail("cannot be written");
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be renamed into place");
    temporary_.clear();
    disarm(slot_);
}

void AtomicFile::fail(const char* what) {
    throw InputError(fmt::format("{}: {}: {}", path_.string(), what, std::strerror(errno)));
}

void write_file(const std::filesystem::path& path, std::string_view text) {
    AtomicFile file(path);
    file.write(text);
    file.commit();
}

void remove_unfinished_files() {
    for (Slot& slot : unfinished) {
        if (slot.armed) unlink(slot.name.data());
    }
}

}  // namespace orrery
