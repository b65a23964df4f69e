#pragma once
// The fields of a trace's line: comma-separated values, and JSON objects without depth.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/line_reader.hpp"

namespace orrery {

// Longest prompt or output believed; beyond lies a slip.
constexpr std::int64_t kMostTokens = 1'000'000'000;

// Cuts `line` at commas into `fields`.
void split_fields(std::string_view line, std::vector<std::string_view>& fields);
// A whole number, of which ".0" is part of; nullopt where the text is none or has more digits than
// 18.
std::optional<std::int64_t> parse_whole(std::string_view text);
// A decimal number as a count of 1e-12 (seconds to ps), exact; nullopt where it is none or beyond
// the range.
std::optional<std::int64_t> parse_pico(std::string_view text);
// "YYYY-MM-DD hh:mm:ss.fffffff", of UTC where a zone is not named; nullopt where the text is none.
struct Timestamp {
    std::int64_t day = 0;  // since 1970-01-01
    std::int64_t ps = 0;   // within the day
};
std::optional<Timestamp> parse_timestamp(std::string_view text);

// The number at `column` of a line; LineError naming the column.
std::int64_t whole_at(const LineReader& reader, const std::vector<std::string_view>& fields,
                      std::size_t column, std::string_view name, std::int64_t at_least,
                      std::int64_t at_most = kMostTokens);
// Columns of a header line by name; LineError naming the first that is missing.
std::vector<std::size_t> find_columns(const LineReader& reader,
                                      const std::vector<std::string_view>& header,
                                      const std::vector<std::string_view>& names);

// Members of one flat JSON object, in turn. Numbers and lists of whole numbers are read; other
// values are passed over.
class FlatObject {
  public:
    FlatObject(const LineReader& reader, std::string_view text);
    // The next key; nullopt at the object's end. Throws LineError where the text is no object.
    std::optional<std::string_view> next_key();
    // The value of the key just returned.
    std::string_view number();
    void integers(std::vector<std::uint64_t>& values);
    void pass_over(int depth = 0);

  private:
    static constexpr int kDeepest = 64;  // arrays and objects in each other
    [[noreturn]] void malformed() const;
    void space();
    char peek();
    bool take(char c);
    std::string_view text_value();

    const LineReader& reader_;
    std::string_view rest_;
    bool first_ = true;
};

}  // namespace orrery
