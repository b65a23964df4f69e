#include "study/scenario.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "core/error.hpp"
#include "study/metrics.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kDeepestBase = 8;  // scenarios stacked on each other

// Members of `from` over those of `onto`: objects are merged, everything else is replaced.
void merge(ConfigNode& onto, const ConfigNode& from, const std::string& prefix) {
    for (const std::string& key : from.keys()) {
        if (prefix.empty() && key == "base") continue;
        const std::string path = prefix.empty() ? key : prefix + "." + key;
        const auto member = from.find(key);
        if (member && member->is_object() && member->size() > 0) {
            merge(onto, *member, path);
        } else {
            onto.set(path, member ? member->dump(-1) : "null");
        }
    }
}

// `above`: the scenarios that stand on this one.
ConfigNode load_stacked(const fs::path& file, std::vector<fs::path> above) {
    const ConfigNode own = ConfigNode::load(file);
    if (!own.is_object()) own.fail("must be an object");
    const auto base = own.find("base");
    if (!base) return own;
    std::error_code ec;
    above.push_back(fs::weakly_canonical(file, ec));
    const fs::path named = resolve_file(*base, file);
    const fs::path whole = fs::weakly_canonical(named, ec);
    if (whole == above.back()) base->fail("must not name the scenario itself");
    if (std::find(above.begin(), above.end(), whole) != above.end()) {
        base->fail("must not lead back to a scenario that stands on this one");
    }
    if (above.size() > kDeepestBase) base->fail("must not be stacked deeper than 8 scenarios");
    ConfigNode below = load_stacked(named, above);
    ConfigNode merged = ConfigNode::parse(below.dump(-1), file.string());
    merge(merged, own, "");
    return merged;
}

// True for overrides that leave every predicted figure as it is.
bool is_label(const std::string& text) {
    const std::string key = text.substr(0, text.find('='));
    return key == "name" || key == "description" || key == "published" || key == "run.fold";
}

void apply(Scenario& scenario, const char* option, const std::vector<std::string>& sets) {
    for (const std::string& text : sets) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw InputError(fmt::format("{} {}: must be key=value", option, text));
        }
        const std::string key = text.substr(0, equals);
        scenario.document.set(key, text.substr(equals + 1), fmt::format("{} {}", option, key));
    }
    std::copy_if(sets.begin(), sets.end(), std::back_inserter(scenario.changed),
                 [](const std::string& text) { return !is_label(text); });
}

}  // namespace

fs::path resolve_file(const ConfigNode& node, const fs::path& scenario) {
    const fs::path named = node.as_string();
    std::error_code ec;
    if (fs::exists(named, ec)) return named;
    if (named.is_relative()) {
        fs::path above = fs::absolute(scenario, ec).lexically_normal().parent_path();
        for (; !ec; above = above.parent_path()) {
            if (fs::exists(above / named, ec)) {
                const fs::path shorter = (above / named).lexically_proximate(fs::current_path());
                return *shorter.begin() == ".." ? above / named : shorter;
            }
            if (above == above.root_path()) break;
        }
    }
    node.refuse("must be a file, from here, the scenario's directory or one above it");
}

Scenario load_scenario(const fs::path& file, const std::vector<std::string>& sets,
                       const std::vector<std::string>& over) {
    Scenario scenario{.file = file, .document = load_stacked(file, {})};
    apply(scenario, "--set", sets);
    apply(scenario, "--over", over);
    scenario.name = scenario.document.at("name").as_string();
    const ConfigNode kind = scenario.document.at("kind");
    kind.as_choice({"training", "serving", "iteration", "expert_all_to_all"});
    scenario.kind = kind.as_string();
    if (const auto text = scenario.document.find("description")) text->as_string();
    if (const auto block = scenario.document.find("published")) {
        scenario.published = read_published(*block);
    }
    scenario.given = scenario.document.dump();
    return scenario;
}

}  // namespace orrery
