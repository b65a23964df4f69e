#include "study/compare.hpp"

#include <fmt/format.h>

#include "core/missing_shapes.hpp"

namespace orrery {
namespace {

constexpr std::size_t kMostCases = 1000;

struct Axis {
    std::string key;
    std::vector<std::string> values;
};

// Splits at commas that are not inside brackets, braces or quotes.
std::vector<std::string> split_values(std::string_view text) {
    std::vector<std::string> values(1);
    int depth = 0;
    bool quoted = false;
    for (const char c : text) {
        if (c == '"') quoted = !quoted;
        if (!quoted && (c == '[' || c == '{')) ++depth;
        if (!quoted && (c == ']' || c == '}')) --depth;
        if (c == ',' && depth == 0 && !quoted) {
            values.emplace_back();
        } else {
            values.back() += c;
        }
    }
    return values;
}

Axis parse_axis(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
        throw InputError(fmt::format("--over {}: must be key=value,value,...", text));
    }
    Axis axis{text.substr(0, equals), split_values(std::string_view(text).substr(equals + 1))};
    for (const std::string& value : axis.values) {
        if (value.empty()) throw InputError(fmt::format("--over {}: has an empty value", text));
    }
    return axis;
}

}  // namespace

std::vector<ComparedCase> expand_cases(const std::vector<std::string>& axes) {
    std::vector<ComparedCase> cases(1);
    for (const std::string& text : axes) {
        const Axis axis = parse_axis(text);
        if (cases.size() * axis.values.size() > kMostCases) {
            throw InputError(fmt::format("--over {}: more than {} cases", text, kMostCases));
        }
        std::vector<ComparedCase> longer;
        for (const ComparedCase& shorter : cases) {
            for (const std::string& value : axis.values) {
                longer.push_back(shorter);
                longer.back().settings.emplace_back(axis.key, value);
            }
        }
        cases = std::move(longer);
    }
    return cases;
}

void run_cases(std::vector<ComparedCase>& cases, const std::filesystem::path& file,
               const std::vector<std::string>& sets, const RunRequest& request,
               const std::function<void(std::size_t)>& before_case) {
    bool any = false;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        before_case(i);
        std::vector<std::string> over;
        for (const auto& [key, value] : cases[i].settings) over.push_back(key + "=" + value);
        try {
            cases[i].result = run_scenario(load_scenario(file, sets, over), request).result;
            any = true;
        } catch (const MalformedError&) {
            throw;  // no answer but a mistake
        } catch (const MissingShapesError& e) {
            cases[i].impossible = e.what();
            cases[i].missing_shapes = e.shapes;
        } catch (const InputError& e) {
            cases[i].impossible = e.what();
        } catch (const SimulationError& e) {
            cases[i].impossible = e.what();
            any = true;
        }
    }
    if (!any && !cases.empty()) throw InputError(cases.front().impossible);
}

}  // namespace orrery
