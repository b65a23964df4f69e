#pragma once
// A text file, plain or gzipped, line by line in constant memory: traces of requests may have any
// length, and a file may turn out to be one line of 10 GB.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace orrery {

// What is wrong with one line; the lines after it can still be read.
class LineError : public InputError {
  public:
    using InputError::InputError;
};

class LineReader {
  public:
    static constexpr std::size_t kLongestLine = std::size_t{1} << 20;  // bytes

    // Throws InputError where the file is missing, unreadable or not regular; the first next()
    // where one named .gz is not gzipped.
    explicit LineReader(std::filesystem::path file);
    ~LineReader();
    LineReader(LineReader&&) noexcept;

    // The next line without its end (LF or CR LF), nullopt at the end of the file; valid until the
    // next call. Throws LineError for a line above kLongestLine and for bytes that are no text
    // (control characters, broken UTF-8; a file in UTF-16 shows here), InputError where the file
    // cannot be read on (a gzip file cut off or damaged).
    std::optional<std::string_view> next();
    // Of the line last read, from 1.
    std::int64_t line() const { return line_; }
    const std::filesystem::path& file() const { return file_; }
    // Throws LineError "file:line: rule".
    [[noreturn]] void fail(std::string_view rule) const;

  private:
    struct Stream;
    bool fill();
    void skip_line();
    void check_text(std::string_view text) const;

    std::filesystem::path file_;
    std::unique_ptr<Stream> stream_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0, end_ = 0;  // unread bytes of buffer_
    bool ended_ = false;
    bool skip_ = false;  // the last line was too long, and its rest has not been read
    std::int64_t line_ = 0;
};

// A file of an archive.
struct ArchiveMember {
    std::string name;  // with its folders
    std::string text;
};
// The regular files of a tar archive, plain or gzipped, in its order. Throws InputError where it is
// missing, damaged, or holds more than `at_most` bytes.
std::vector<ArchiveMember> read_tar(const std::filesystem::path& file,
                                    std::size_t at_most = std::size_t{256} << 20);

}  // namespace orrery
