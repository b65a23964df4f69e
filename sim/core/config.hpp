#pragma once
// Typed reading of JSON settings. A ConfigNode is a cursor into a document that knows its file and
// JSON path, so that every complaint names file, key, value and rule. Keys that nobody read are
// errors (reject_unknown_keys). nlohmann/json stays behind this interface.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/sourced.hpp"
#include "core/unit_text.hpp"

namespace orrery {

// The contents of a file. Throws InputError where it is missing, unreadable or a directory: it
// "must be" `what`.
std::string read_text_file(const std::filesystem::path& file, std::string_view what);

class ConfigNode {
  public:
    // Reads a file; // and /* */ comments are allowed. Throws InputError where the file is missing,
    // unreadable or malformed (with line and column), gives a key twice or nests more than 64 deep.
    static ConfigNode load(const std::filesystem::path& file);
    // The same from text; `name` stands for the file in messages.
    static ConfigNode parse(std::string_view text, std::string name);

    const std::string& file() const;  // as given to load or parse
    const std::string& path() const;  // "plan.micro_batch_size"; empty at the root
    // Where it was given, for messages: "a.json: plan.tp", or "--set plan.tp" where set() said so.
    std::string place() const;
    std::string place(std::string_view key) const;  // of a member, there or not
    bool is_object() const;
    bool is_array() const;
    bool is_string() const;
    bool is_number() const;
    bool is_bool() const;
    bool is_null() const;
    std::size_t size() const;  // elements of an array or object

    bool has(std::string_view key) const;
    ConfigNode at(std::string_view key) const;                   // missing: InputError
    std::optional<ConfigNode> find(std::string_view key) const;  // missing or null: nullopt
    ConfigNode at(std::size_t index) const;
    std::vector<ConfigNode> elements() const;  // of an array; not an array: InputError
    std::vector<std::string> keys() const;     // of an object, in file order

    // Scalars; the wrong type is a MalformedError, as a number out of bounds. Bounds are inclusive.
    std::string as_string() const;
    bool as_bool() const;
    double as_number() const;
    std::int64_t as_integer(std::int64_t at_least = INT64_MIN,
                            std::int64_t at_most = INT64_MAX) const;
    // The index of its text among `names`; another text is a MalformedError that lists them.
    std::size_t as_choice(const std::vector<std::string_view>& names) const;
    // "50 GB/s" and the like; a Ratio may also be a plain number.
    template <class Q>
    Q as_quantity() const {
        try {
            if constexpr (std::is_same_v<Q, Ratio>) {
                if (is_number()) return Q(as_number());
            }
            if (!is_string()) refuse(quantity_rule(unit_of<Q>()));
            return parse_quantity<Q>(as_string());
        } catch (const std::invalid_argument& rule) {
            refuse(rule.what());
        }
    }
    // {"value": "400 GB/s", "origin": "published", "source": "..."}: all three are required.
    template <class Q>
    Sourced<Q> as_sourced() const {
        Sourced<Q> result{at("value").as_quantity<Q>(), provenance()};
        reject_unknown_keys();
        return result;
    }
    // The "origin" and "source" members of this object; missing, empty or unknown: InputError.
    Provenance provenance() const;

    // Marks every key below this node as read (for members that belong to somebody else).
    void accept_all() const;
    // Throws InputError naming the first key of this object (and of objects read below it) that was
    // never read, and the key probably meant or the keys that were asked for.
    void reject_unknown_keys() const;

    // Overrides the member at a dotted path below this node, creating objects on the way; `text` is
    // JSON where it parses as JSON, otherwise a string; null takes the member away, so that its
    // default holds. Used by --set. The node becomes a document of its own that nobody has read
    // yet: copies and child nodes made before do not change. `place`, where given, stands for file
    // and path in messages about the member.
    void set(std::string_view dotted_path, std::string_view text, std::string_view place = {});
    // The same with text as it stands, be it JSON or not.
    void set_text(std::string_view dotted_path, const std::string& text);
    // Throws InputError for this node: place, its value, the rule.
    [[noreturn]] void fail(const std::string& rule) const;
    // The same as a MalformedError: wrong whatever the other settings are.
    [[noreturn]] void refuse(const std::string& rule) const;
    // The document below this node as JSON text; indent < 0 gives one line.
    std::string dump(int indent = 2) const;

  private:
    struct Document;
    struct Cursor;
    explicit ConfigNode(std::shared_ptr<const Cursor> cursor) : cursor_(std::move(cursor)) {}
    std::shared_ptr<const Cursor> cursor_;
};

}  // namespace orrery
