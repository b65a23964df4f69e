#include "core/line_reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <zlib.h>

namespace orrery {
namespace {

constexpr std::size_t kChunk = std::size_t{64} << 10;
constexpr std::size_t kTarBlock = 512;
static_assert(kChunk % kTarBlock == 0);

// Bytes of a UTF-8 character by its first byte; 0: none begins so.
std::size_t length_of(unsigned char first) {
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first < 0xe0) return 2;
    if (first >= 0xe0 && first < 0xf0) return 3;
    if (first >= 0xf0 && first < 0xf5) return 4;
    return 0;
}

// Index of the first byte that is no text; the size where all is.
std::size_t first_odd_byte(std::string_view text) {
    std::size_t i = 0;
    while (i < text.size()) {
        const auto first = static_cast<unsigned char>(text[i]);
        if (first >= 0x20 && first < 0x7f) {
            ++i;
            continue;
        }
        if (first < 0x20 && first != '\t') return i;
        const std::size_t length = length_of(first);
        if (length == 0 || i + length > text.size()) return i;
        for (std::size_t k = 1; k < length; ++k) {
            if ((static_cast<unsigned char>(text[i + k]) & 0xc0U) != 0x80) return i;
        }
        i += length;
    }
    return i;
}

}  // namespace

// zlib reads files that are not gzipped as they are.
struct LineReader::Stream {
    gzFile file = nullptr;
    Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() {
        if (file != nullptr) gzclose(file);
    }
};

LineReader::LineReader(std::filesystem::path file)
    : file_(std::move(file)), stream_(std::make_unique<Stream>()) {
    std::error_code ec;
    if (std::filesystem::is_directory(file_, ec)) {
        throw InputError(fmt::format("{}: must be a file, is a directory", file_.string()));
    }
    // A pipe would give its lines to whoever opens it first: a workload is opened several times.
    if (std::filesystem::exists(file_, ec) && !std::filesystem::is_regular_file(file_, ec)) {
        throw InputError(
            fmt::format("{}: must be a regular file, is read more than once", file_.string()));
    }
    stream_->file = gzopen(file_.c_str(), "rb");
    if (stream_->file == nullptr) {
        throw InputError(fmt::format("{}: must be a file that can be read", file_.string()));
    }
    gzbuffer(stream_->file, static_cast<unsigned>(kChunk));
    buffer_.resize(2 * kChunk);
}

LineReader::~LineReader() = default;
LineReader::LineReader(LineReader&&) noexcept = default;

// More bytes behind those unread; false at the end of the file.
bool LineReader::fill() {
    if (ended_) return false;
    if (begin_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (buffer_.size() - end_ < kChunk) buffer_.resize(buffer_.size() * 2);
    const int got = gzread(stream_->file, buffer_.data() + end_, static_cast<unsigned>(kChunk));
    int state = Z_OK;
    const char* const message = gzerror(stream_->file, &state);
    if (got < 0 || (state != Z_OK && state != Z_STREAM_END)) {
        ended_ = true;
        std::string_view reason = message;
        if (reason.starts_with(file_.string() + ": ")) {  // as zlib begins it
            reason.remove_prefix(file_.string().size() + 2);
        }
        throw InputError(fmt::format("{}:{}: must be readable, plain or gzipped: {}",
                                     file_.string(), line_ + 1,
                                     reason.empty() ? "read error" : reason));
    }
    if (line_ == 0 && got > 0 && file_.extension() == ".gz" && gzdirect(stream_->file) == 1) {
        throw InputError(fmt::format("{}: must be gzipped, as its name says", file_.string()));
    }
    end_ += static_cast<std::size_t>(got);
    ended_ = got == 0;
    return !ended_;
}

// Drops bytes up to and including the next line end.
void LineReader::skip_line() {
    skip_ = false;
    while (true) {
        const void* const found = std::memchr(buffer_.data() + begin_, '\n', end_ - begin_);
        if (found != nullptr) {
            const auto at = static_cast<const char*>(found) - buffer_.data();
            begin_ = static_cast<std::size_t>(at) + 1;
            return;
        }
        begin_ = end_;
        if (!fill()) return;
    }
}

std::optional<std::string_view> LineReader::next() {
    if (skip_) skip_line();
    std::size_t searched = 0;
    while (true) {
        const char* const start = buffer_.data() + begin_;
        const void* const found = std::memchr(start + searched, '\n', end_ - begin_ - searched);
        const std::size_t length =
            found != nullptr ? static_cast<std::size_t>(static_cast<const char*>(found) - start)
                             : end_ - begin_;
        if (length > kLongestLine) {
            ++line_;
            skip_ = true;
            fail(fmt::format("must be a line of at most {} bytes", kLongestLine));
        }
        searched = length;
        if (found == nullptr && fill()) continue;
        if (found == nullptr && begin_ == end_) return std::nullopt;
        // fill() may have moved the bytes.
        std::string_view text(buffer_.data() + begin_, length);
        begin_ += length + (found != nullptr ? 1 : 0);
        ++line_;
        if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
        if (line_ == 1 && text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
        check_text(text);
        return text;
    }
}

void LineReader::check_text(std::string_view text) const {
    const std::size_t odd = first_odd_byte(text);
    if (odd == text.size()) return;
    if (line_ == 1 && (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))) {
        fail("must be UTF-8 text, is UTF-16");
    }
    fail(fmt::format("byte {} is 0x{:02x}: must be UTF-8 text", odd + 1,
                     static_cast<unsigned char>(text[odd])));
}

void LineReader::fail(std::string_view rule) const {
    throw LineError(fmt::format("{}:{}: {}", file_.string(), line_, rule));
}

std::vector<ArchiveMember> read_tar(const std::filesystem::path& file, std::size_t at_most) {
    gzFile stream = gzopen(file.c_str(), "rb");
    const auto fail = [&](std::string_view rule) {
        throw InputError(fmt::format("{}: {}", file.string(), rule));
    };
    if (stream == nullptr) fail("must be a tar archive that can be read");
    const std::unique_ptr<gzFile_s, int (*)(gzFile)> owner(stream, gzclose);
    std::vector<ArchiveMember> members;
    char header[kTarBlock];
    std::size_t total = 0;
    while (gzread(stream, header, kTarBlock) == static_cast<int>(kTarBlock) && header[0] != '\0') {
        if (std::memcmp(header + 257, "ustar", 5) != 0) fail("must be a tar archive");
        std::size_t size = 0;
        for (int i = 124; i < 136 && header[i] >= '0' && header[i] <= '7'; ++i) {
            size = size * 8 + static_cast<std::size_t>(header[i] - '0');
        }
        total += size;
        if (total > at_most) fail(fmt::format("must hold at most {} bytes", at_most));
        const std::size_t padded = (size + kTarBlock - 1) / kTarBlock * kTarBlock;
        std::string text(padded, '\0');
        if (padded > 0 && gzread(stream, text.data(), static_cast<unsigned>(padded)) !=
                              static_cast<int>(padded)) {
            fail("is cut off");
        }
        text.resize(size);
        const char type = header[156];
        if (type != '0' && type != '\0') continue;  // folders, links, long names
        members.push_back({std::string(header, strnlen(header, 100)), std::move(text)});
    }
    if (members.empty()) fail("must be a tar archive with files");
    return members;
}

}  // namespace orrery
