#pragma once
// JSON text, written in order: objects, arrays, numbers that read back to the same double. For
// small answers of commands and for result.json.

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace orrery {

// `text` in quotes, with what JSON requires escaped; invalid UTF-8 becomes U+FFFD.
std::string json_quoted(std::string_view text);
// Shortest text that reads back to the same value; "null" for infinities and NaN.
std::string json_number(double value);

class JsonWriter {
  public:
    JsonWriter& begin_object() { return open('{', '}'); }
    JsonWriter& end_object() { return close(); }
    // An array on one line where `inline_elements`, else one element a line.
    JsonWriter& begin_array(bool inline_elements = false) {
        return open('[', ']', inline_elements);
    }
    JsonWriter& end_array() { return close(); }
    JsonWriter& key(std::string_view name);
    template <class T>
    JsonWriter& value(const T& v) {
        if constexpr (std::is_same_v<T, bool>) {
            return raw(v ? "true" : "false");
        } else if constexpr (std::is_integral_v<T>) {
            return raw(std::to_string(v));
        } else if constexpr (std::is_floating_point_v<T>) {
            return raw(json_number(v));
        } else {
            return raw(json_quoted(v));
        }
    }
    template <class T>
    JsonWriter& field(std::string_view name, const T& v) {
        return key(name).value(v);
    }
    JsonWriter& null() { return raw("null"); }
    // JSON text as it is, indented to its place where it has several lines.
    JsonWriter& raw(std::string_view json);

    // The document with a final newline. Call once everything is closed.
    std::string text() const { return text_ + '\n'; }

  private:
    struct Level {
        char closing;
        bool on_one_line;
        bool empty = true;
    };
    JsonWriter& open(char opening, char closing, bool on_one_line = false);
    JsonWriter& close();
    void separate();
    void new_line();
    std::string text_;
    std::vector<Level> levels_;
    bool after_key_ = false;
};

}  // namespace orrery
