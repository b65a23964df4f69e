#include "core/config.hpp"

#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.hpp"

namespace orrery {

using Json = nlohmann::ordered_json;

struct ConfigNode::Document {
    std::string file;
    Json root;
    std::set<const Json*> read;  // members somebody asked for
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
    if (text.size() > 80) text = text.substr(0, 77) + "...";
    return text;
}

}  // namespace

ConfigNode ConfigNode::load(const std::filesystem::path& file) {
    std::error_code ec;
    if (std::filesystem::is_directory(file, ec)) {
        throw InputError(fmt::format("{}: is a directory, must be a JSON file", file.string()));
    }
    std::ifstream in(file, std::ios::binary);
    if (!in) throw InputError(fmt::format("{}: cannot be opened for reading", file.string()));
    std::ostringstream text;
    text << in.rdbuf();
    if (in.bad()) throw InputError(fmt::format("{}: cannot be read", file.string()));
    return parse(text.str(), file.string());
}

ConfigNode ConfigNode::parse(std::string_view text, std::string name) {
    auto document = std::make_shared<Document>();
    document->file = std::move(name);
    try {
        document->root = Json::parse(text, nullptr, true, true);
    } catch (const Json::parse_error& e) {
        std::size_t line = 1, column = 1;
        for (std::size_t i = 0; i + 1 < e.byte && i < text.size(); ++i) {
            column = text[i] == '\n' ? 1 : column + 1;
            line += text[i] == '\n';
        }
        throw InputError(fmt::format("{}:{}:{}: is not valid JSON", document->file, line, column));
    }
    auto cursor = std::make_shared<Cursor>();
    cursor->json = &document->root;
    cursor->document = std::move(document);
    return ConfigNode(std::move(cursor));
}

const std::string& ConfigNode::file() const { return cursor_->document->file; }
const std::string& ConfigNode::path() const { return cursor_->path; }
bool ConfigNode::is_object() const { return cursor_->json->is_object(); }
bool ConfigNode::is_array() const { return cursor_->json->is_array(); }
bool ConfigNode::is_string() const { return cursor_->json->is_string(); }
bool ConfigNode::is_number() const { return cursor_->json->is_number(); }
bool ConfigNode::is_bool() const { return cursor_->json->is_boolean(); }
bool ConfigNode::is_null() const { return cursor_->json->is_null(); }
std::size_t ConfigNode::size() const { return cursor_->json->size(); }

bool ConfigNode::has(std::string_view key) const { return find(key).has_value(); }

std::optional<ConfigNode> ConfigNode::find(std::string_view key) const {
    if (!is_object()) fail("must be an object");
    const auto it = cursor_->json->find(std::string(key));
    if (it == cursor_->json->end()) return std::nullopt;
    cursor_->document->read.insert(&*it);
    if (it->is_null()) return std::nullopt;
    return ConfigNode(
        std::make_shared<const Cursor>(Cursor{cursor_->document, &*it, join(cursor_->path, key)}));
}

ConfigNode ConfigNode::at(std::string_view key) const {
    if (auto node = find(key)) return *node;
    throw InputError(file(), join(path(), key), "", "is missing");
}

ConfigNode ConfigNode::at(std::size_t index) const {
    if (!is_array()) fail("must be an array");
    if (index >= size()) fail(fmt::format("must have at least {} elements", index + 1));
    Json* element = &(*cursor_->json)[index];
    return ConfigNode(std::make_shared<const Cursor>(
        Cursor{cursor_->document, element, fmt::format("{}[{}]", cursor_->path, index)}));
}

std::vector<ConfigNode> ConfigNode::elements() const {
    if (!is_array()) fail("must be an array");
    std::vector<ConfigNode> result;
    for (std::size_t i = 0; i < size(); ++i) result.push_back(at(i));
    return result;
}

std::vector<std::string> ConfigNode::keys() const {
    if (!is_object()) fail("must be an object");
    std::vector<std::string> result;
    for (const auto& [key, value] : cursor_->json->items()) result.push_back(key);
    return result;
}

std::string ConfigNode::as_string() const {
    if (!is_string()) fail("must be text");
    return cursor_->json->get<std::string>();
}

bool ConfigNode::as_bool() const {
    if (!is_bool()) fail("must be true or false");
    return cursor_->json->get<bool>();
}

double ConfigNode::as_number() const {
    if (!is_number()) fail("must be a number");
    const double value = cursor_->json->get<double>();
    if (!std::isfinite(value)) fail("must be finite");
    return value;
}

std::int64_t ConfigNode::as_integer(std::int64_t at_least, std::int64_t at_most) const {
    const double value = as_number();
    const bool whole = std::floor(value) == value && std::fabs(value) < 9.0e18;
    if (!whole) fail("must be a whole number");
    const std::int64_t integer = cursor_->json->is_number_integer()
                                     ? cursor_->json->get<std::int64_t>()
                                     : static_cast<std::int64_t>(value);
    if (integer < at_least) fail(fmt::format("must be >= {}", at_least));
    if (integer > at_most) fail(fmt::format("must be <= {}", at_most));
    return integer;
}

Provenance ConfigNode::provenance() const {
    Provenance from;
    const ConfigNode origin = at("origin");
    try {
        from.origin = parse_origin(origin.as_string());
    } catch (const std::invalid_argument& rule) {
        origin.fail(rule.what());
    }
    from.source = at("source").as_string();
    if (from.source.empty()) at("source").fail("must name where the number comes from");
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
        for (const ConfigNode& element : elements()) element.reject_unknown_keys();
        return;
    }
    if (!is_object()) return;
    for (auto& [key, value] : cursor_->json->items()) {
        if (!cursor_->document->read.contains(&value)) {
            throw InputError(file(), join(path(), key), short_text(value), "is not a known key");
        }
        ConfigNode(
            std::make_shared<const Cursor>(Cursor{cursor_->document, &value, join(path(), key)}))
            .reject_unknown_keys();
    }
}

void ConfigNode::set(std::string_view dotted_path, std::string_view text) {
    Json value = Json::parse(text, nullptr, false);
    if (value.is_discarded()) value = std::string(text);
    Json* node = cursor_->json;
    std::string walked = path();
    std::size_t begin = 0;
    while (true) {
        const std::size_t dot = dotted_path.find('.', begin);
        const std::string key(dotted_path.substr(begin, dot - begin));
        if (key.empty()) {
            throw InputError(
                fmt::format("--set {}={}: the key has an empty part", dotted_path, text));
        }
        if (!node->is_object()) {
            throw InputError(fmt::format("--set {}={}: {} is not an object", dotted_path, text,
                                         walked.empty() ? "the document" : walked));
        }
        walked = join(walked, key);
        if (dot == std::string_view::npos) {
            (*node)[key] = std::move(value);
            return;
        }
        node = &(*node)[key];
        if (node->is_null()) *node = Json::object();
        begin = dot + 1;
    }
}

void ConfigNode::fail(const std::string& rule) const {
    throw InputError(file(), path().empty() ? "the document" : path(), short_text(*cursor_->json),
                     rule);
}

std::string ConfigNode::dump(int indent) const {
    return cursor_->json->dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace orrery
