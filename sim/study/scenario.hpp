#pragma once
// A scenario file with its overrides, before anything is built from it. Format:
// scenarios/README.md.

#include <filesystem>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/run_result.hpp"

namespace orrery {

struct Scenario {
    std::filesystem::path file;
    ConfigNode document;  // base, file and overrides merged
    std::string name = {};
    std::string kind = {};   // "training", "serving", "iteration", ...
    std::string given = {};  // the document as JSON text
    std::vector<PublishedFigure> published = {};
    std::vector<std::string> changed = {};  // overrides that may move an answer, as given
};

// Reads `file`, over its "base" scenario where it names one, and applies "key=value" overrides in
// order: `sets` of --set, then `over` of --over. Throws InputError: unreadable, malformed, an
// override without "=", no name or kind, a wrong published block. Keys of the other blocks are
// checked by what reads them.
Scenario load_scenario(const std::filesystem::path& file, const std::vector<std::string>& sets,
                       const std::vector<std::string>& over = {});

// The file that `text` names: as it stands, else beside the scenario, else in a directory above it.
// Throws InputError at `node` where there is none.
std::filesystem::path resolve_file(const ConfigNode& node, const std::filesystem::path& scenario);

}  // namespace orrery
