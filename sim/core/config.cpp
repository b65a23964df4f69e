#include "core/config.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/error.hpp"

namespace orrery {

using Json = nlohmann::ordered_json;

struct ConfigNode::Document {
    std::string file;
    Json root;
    std::set<const Json*> read;                          // members somebody asked for
    std::map<const Json*, std::set<std::string>> asked;  // keys asked for, by object
    std::map<std::string, std::string> places;           // of members that set() placed, by path

    // That of the nearest member above which has one, and the way down from there.
    std::string place_of(const std::string& path) const {
        for (std::size_t end = path.size(); end != std::string::npos && end > 0;) {
            const auto found = places.find(path.substr(0, end));
            if (found != places.end()) return found->second + path.substr(end);
            end = path.find_last_of(".[", end - 1);
        }
        return file + ": " + (path.empty() ? "the document" : path);
    }
};

struct ConfigNode::Cursor {
    std::shared_ptr<Document> document;
    Json* json = nullptr;
    std::string path;
};

namespace {

std::string join(const std::string& path, std::string_view key) {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

std::string short_text(const Json& json) {
    std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (text.size() <= 80) return text;
    std::size_t end = 77;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // whole UTF-8
    return text.substr(0, end) + "...";
}

// Line and column, from 1, of the byte before `offset`.
std::string position_text(std::string_view text, std::size_t offset) {
    std::size_t line = 1, column = 1;
    for (std::size_t i = 0; i + 1 < offset && i < text.size(); ++i) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return fmt::format("{}:{}", line, column);
}

// The end of the parser's message, which says what it found and expected.
std::string reason_of(const Json::exception& e) {
    std::string_view what = e.what();
    for (std::string_view mark : {"] ", "column ", ": ", "while parsing ", " - "}) {
        const std::size_t at = what.find(mark);
        if (at != std::string_view::npos) what.remove_prefix(at + mark.size());
    }
    return std::string(what.substr(0, 160));
}

// Watches a document as it is parsed. Recursion over it stays shallow and no setting is lost
// silently: nesting beyond kDeepest and keys given twice are errors.
class ParseGuard {
  public:
    explicit ParseGuard(std::string file) : file_(std::move(file)) {}

    bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
        using Event = Json::parse_event_t;
        if (event == Event::object_start || event == Event::array_start) {
            if (depth >= kDeepest) {
                throw MalformedError(
                    fmt::format("{}: is nested more than {} deep", file_, kDeepest));
            }
            if (event == Event::object_start) keys_.emplace_back();
        } else if (event == Event::object_end) {
            keys_.pop_back();
        } else if (event == Event::key) {
            const auto& key = parsed.get_ref<const std::string&>();
            if (!keys_.back().insert(key).second) {
                throw MalformedError(file_, key, "", "is given twice in one object");
            }
        }
        return true;
    }

  private:
    static constexpr int kDeepest = 64;
    std::string file_;
    std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

Json parse_guarded(std::string_view text, const std::string& file) {
    ParseGuard guard(file);
    const auto watch = [&guard](int depth, Json::parse_event_t event, Json& parsed) {
        return guard(depth, event, parsed);
    };
    return Json::parse(text, watch, true, true);
}

// Levenshtein distance: insertions, deletions and replacements between two keys.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row[b.size()];
}

// "is not a known key", with the key that was probably meant or those that exist.
std::string unknown_key_rule(std::string_view key, const std::set<std::string>& known) {
    std::string rule = "is not a known key";
    if (known.empty()) return rule;
    const auto closest =
        std::min_element(known.begin(), known.end(), [key](const auto& a, const auto& b) {
            return edit_distance(key, a) < edit_distance(key, b);
        });
    if (edit_distance(key, *closest) <= std::max<std::size_t>(2, key.size() / 4)) {
        return fmt::format("{}; did you mean {}?", rule, *closest);
    }
    return fmt::format("{}; known here: {}", rule, fmt::join(known, ", "));
}

}  // namespace

std::string read_text_file(const std::filesystem::path& file, std::string_view what) {
    std::error_code ec;
    if (std::filesystem::is_directory(file, ec)) {
        throw MalformedError(fmt::format("{}: is a directory, must be {}", file.string(), what));
    }
    std::ifstream in(file, std::ios::binary);
    if (!in) throw MalformedError(fmt::format("{}: cannot be opened for reading", file.string()));
    std::ostringstream text;
    text << in.rdbuf();
    if (in.bad()) throw MalformedError(fmt::format("{}: cannot be read", file.string()));
    return text.str();
}

ConfigNode ConfigNode::load(const std::filesystem::path& file) {
    return parse(read_text_file(file, "a JSON file"), file.string());
}

ConfigNode ConfigNode::parse(std::string_view text, std::string name) {
    auto document = std::make_shared<Document>();
    document->file = std::move(name);
    try {
        document->root = parse_guarded(text, document->file);
    } catch (const Json::parse_error& e) {
        throw MalformedError(fmt::format("{}:{}: is not valid JSON: {}", document->file,
                                         position_text(text, e.byte), reason_of(e)));
    } catch (const Json::exception& e) {  // a number beyond the range of double
        throw MalformedError(
            fmt::format("{}: is not valid JSON: {}", document->file, reason_of(e)));
    }
    auto cursor = std::make_shared<Cursor>();
    cursor->json = &document->root;
    cursor->document = std::move(document);
    return ConfigNode(std::move(cursor));
}

const std::string& ConfigNode::file() const { return cursor_->document->file; }
const std::string& ConfigNode::path() const { return cursor_->path; }

std::string ConfigNode::place() const { return cursor_->document->place_of(path()); }
std::string ConfigNode::place(std::string_view key) const {
    return cursor_->document->place_of(join(path(), key));
}

bool ConfigNode::is_object() const { return cursor_->json->is_object(); }
bool ConfigNode::is_array() const { return cursor_->json->is_array(); }
bool ConfigNode::is_string() const { return cursor_->json->is_string(); }
bool ConfigNode::is_number() const { return cursor_->json->is_number(); }
bool ConfigNode::is_bool() const { return cursor_->json->is_boolean(); }
bool ConfigNode::is_null() const { return cursor_->json->is_null(); }
std::size_t ConfigNode::size() const { return cursor_->json->size(); }

bool ConfigNode::has(std::string_view key) const { return find(key).has_value(); }

std::optional<ConfigNode> ConfigNode::find(std::string_view key) const {
    if (!is_object()) refuse("must be an object");
    cursor_->document->asked[cursor_->json].emplace(key);
    const auto it = cursor_->json->find(std::string(key));
    if (it == cursor_->json->end()) return std::nullopt;
    cursor_->document->read.insert(&*it);
    if (it->is_null()) return std::nullopt;
    return ConfigNode(
        std::make_shared<const Cursor>(Cursor{cursor_->document, &*it, join(cursor_->path, key)}));
}

ConfigNode ConfigNode::at(std::string_view key) const {
    if (auto node = find(key)) return *node;
    throw MalformedError(place(key) + ": is missing");
}

ConfigNode ConfigNode::at(std::size_t index) const {
    if (!is_array()) refuse("must be an array");
    if (index >= size()) fail(fmt::format("must have at least {} elements", index + 1));
    Json* element = &(*cursor_->json)[index];
    return ConfigNode(std::make_shared<const Cursor>(
        Cursor{cursor_->document, element, fmt::format("{}[{}]", cursor_->path, index)}));
}

std::vector<ConfigNode> ConfigNode::elements() const {
    if (!is_array()) refuse("must be an array");
    std::vector<ConfigNode> result;
    for (std::size_t i = 0; i < size(); ++i) result.push_back(at(i));
    return result;
}

std::vector<std::string> ConfigNode::keys() const {
    if (!is_object()) refuse("must be an object");
    std::vector<std::string> result;
    for (const auto& [key, value] : cursor_->json->items()) result.push_back(key);
    return result;
}

std::string ConfigNode::as_string() const {
    if (!is_string()) refuse("must be text");
    return cursor_->json->get<std::string>();
}

bool ConfigNode::as_bool() const {
    if (!is_bool()) refuse("must be true or false");
    return cursor_->json->get<bool>();
}

double ConfigNode::as_number() const {
    if (!is_number()) refuse("must be a number");
    const double value = cursor_->json->get<double>();
    if (!std::isfinite(value)) refuse("must be finite");
    return value;
}

std::size_t ConfigNode::as_choice(const std::vector<std::string_view>& names) const {
    const auto found = std::find(names.begin(), names.end(), as_string());
    if (found == names.end()) refuse(fmt::format("must be one of {}", fmt::join(names, ", ")));
    return static_cast<std::size_t>(found - names.begin());
}

std::int64_t ConfigNode::as_integer(std::int64_t at_least, std::int64_t at_most) const {
    const double value = is_number() ? as_number() : 0.5;
    if (std::floor(value) != value) refuse("must be a whole number");
    const std::string too_small = fmt::format("must be >= {}", at_least);
    const std::string too_large = fmt::format("must be <= {}", at_most);
    if (cursor_->json->is_number_unsigned() &&
        cursor_->json->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
        refuse(too_large);
    }
    if (cursor_->json->is_number_float() && value < -0x1p63) refuse(too_small);
    if (cursor_->json->is_number_float() && value >= 0x1p63) refuse(too_large);
    const auto integer = cursor_->json->get<std::int64_t>();
    if (integer < at_least) refuse(too_small);
    if (integer > at_most) refuse(too_large);
    return integer;
}

Provenance ConfigNode::provenance() const {
    Provenance from;
    const ConfigNode origin = at("origin");
    try {
        from.origin = parse_origin(origin.as_string());
    } catch (const std::invalid_argument& rule) {
        origin.refuse(rule.what());
    }
    from.source = at("source").as_string();
    if (from.source.empty()) at("source").refuse("must name where the number comes from");
    return from;
}

void ConfigNode::accept_all() const {
    if (!cursor_->json->is_structured()) return;
    for (auto& [key, value] : cursor_->json->items()) {
        cursor_->document->read.insert(&value);
        ConfigNode(std::make_shared<const Cursor>(Cursor{cursor_->document, &value, ""}))
            .accept_all();
    }
}

void ConfigNode::reject_unknown_keys() const {
    if (is_array()) {
        for (std::size_t i = 0; i < size(); ++i) {  // rows of numbers have no keys to check
            if ((*cursor_->json)[i].is_structured()) at(i).reject_unknown_keys();
        }
        return;
    }
    if (!is_object()) return;
    for (auto& [key, value] : cursor_->json->items()) {
        if (!cursor_->document->read.contains(&value)) {
            ConfigNode(std::make_shared<const Cursor>(
                           Cursor{cursor_->document, &value, join(path(), key)}))
                .refuse(unknown_key_rule(key, cursor_->document->asked[cursor_->json]));
        }
        ConfigNode(
            std::make_shared<const Cursor>(Cursor{cursor_->document, &value, join(path(), key)}))
            .reject_unknown_keys();
    }
}

namespace {

// Of a list of objects: the one whose "name" this is, or whose number from 0.
std::optional<std::size_t> element_named(const Json& list, const std::string& key) {
    for (std::size_t i = 0; i < list.size(); ++i) {
        if (list[i].is_object() && list[i].value("name", Json()) == key) return i;
    }
    for (std::size_t i = 0; i < list.size(); ++i) {
        if (std::to_string(i) == key) return i;
    }
    return std::nullopt;
}

}  // namespace

void ConfigNode::set(std::string_view dotted_path, std::string_view text, std::string_view place) {
    const std::string named =
        place.empty() ? fmt::format("--set {}", dotted_path) : std::string(place);
    const auto wrong = [&](const std::string& rule) {
        throw MalformedError(fmt::format("{}={}: {}", named, text, rule));
    };
    // A document of its own: nodes and copies made before keep what they saw.
    auto document = std::make_shared<Document>();
    document->file = file();
    document->root = *cursor_->json;
    document->places = cursor_->document->places;
    Json* node = &document->root;
    std::string walked = path();
    for (std::size_t begin = 0; begin != std::string_view::npos;) {
        const std::size_t dot = dotted_path.find('.', begin);
        const std::string key(dotted_path.substr(begin, dot - begin));
        if (key.empty()) wrong("the key has an empty part");
        if (node->is_null()) *node = Json::object();
        if (node->is_array()) {
            const auto at = element_named(*node, key);
            if (!at) wrong(fmt::format("{} has no element named or numbered {}", walked, key));
            node = &(*node)[*at];
            walked += fmt::format("[{}]", *at);
            begin = dot == std::string_view::npos ? dot : dot + 1;
            continue;
        }
        if (!node->is_object()) {
            wrong(fmt::format("{} is not an object", walked.empty() ? "the document" : walked));
        }
        node = &(*node)[key];
        walked = join(walked, key);
        begin = dot == std::string_view::npos ? dot : dot + 1;
    }
    if (!place.empty()) document->places[walked] = place;
    try {
        *node = parse_guarded(text, named);
    } catch (const Json::exception&) {
        *node = std::string(text);
    }
    const auto cursor = std::make_shared<Cursor>();
    cursor->json = &document->root;
    cursor->path = path();
    cursor->document = std::move(document);
    cursor_ = cursor;
}

void ConfigNode::set_text(std::string_view dotted_path, const std::string& text) {
    set(dotted_path, Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

void ConfigNode::fail(const std::string& rule) const {
    throw InputError(fmt::format("{} = {}: {}", place(), short_text(*cursor_->json), rule));
}

void ConfigNode::refuse(const std::string& rule) const {
    throw MalformedError(fmt::format("{} = {}: {}", place(), short_text(*cursor_->json), rule));
}

std::string ConfigNode::dump(int indent) const {
    return cursor_->json->dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace orrery
