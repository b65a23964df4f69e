// orrery_perf [FILTER] [--list] [--repetitions N]: runs the benchmarks whose name contains FILTER
// and prints rate, twin's rate, ratio and aim of each.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "perf.hpp"

namespace orrery::perf {
namespace {

std::vector<Benchmark>& registry() {
    static std::vector<Benchmark> benchmarks;
    return benchmarks;
}

// "29.3 M", "1.20 k", "0.0870".
std::string scaled(double value) {
    constexpr std::string_view kPrefixes[] = {"", " k", " M", " G", " T"};
    std::size_t prefix = 0;
    for (; std::abs(value) >= 1000 && prefix + 1 < std::size(kPrefixes); ++prefix) value /= 1000;
    return fmt::format("{:#.3g}{}", value, kPrefixes[prefix]);
}

std::string text(const Benchmark& benchmark, double figure) {
    switch (benchmark.figure) {
        case Figure::rate:
            return fmt::format("{} {}/s", scaled(figure), benchmark.unit);
        case Figure::time:
            return fmt::format("{:#.3g} s", figure);
        case Figure::amount:
            break;
    }
    return fmt::format("{} {}", scaled(figure), benchmark.unit);
}

double better(const Benchmark& benchmark, double a, double b) {
    return benchmark.figure == Figure::rate ? std::max(a, b) : std::min(a, b);
}

double run_once(const Benchmark& benchmark, const Repetition& repetition) {
    const auto start = std::chrono::steady_clock::now();
    const double work = repetition();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    switch (benchmark.figure) {
        case Figure::rate:
            return work / seconds.count();
        case Figure::time:
            return seconds.count();
        case Figure::amount:
            break;
    }
    return work;
}

struct Measured {
    double subject = 0;
    std::optional<double> twin;
    std::optional<double> ratio() const {
        return twin ? std::optional(subject / *twin) : std::nullopt;
    }
};

Measured measure(const Benchmark& benchmark, int repetitions) {
    const Repetition subject = benchmark.subject();
    const Repetition twin = benchmark.twin ? benchmark.twin() : Repetition();
    Measured best;
    for (int i = 0; i < repetitions; ++i) {
        const double figure = run_once(benchmark, subject);
        best.subject = i == 0 ? figure : better(benchmark, best.subject, figure);
        if (twin) {
            const double other = run_once(benchmark, twin);
            best.twin = best.twin ? better(benchmark, *best.twin, other) : other;
        }
    }
    return best;
}

// "ok", or what is missed.
std::string verdict(const Benchmark& benchmark, const Measured& measured) {
    const bool rate = benchmark.figure == Figure::rate;
    const bool reached = !benchmark.aim || (rate ? measured.subject >= *benchmark.aim
                                                 : measured.subject <= *benchmark.aim);
    const double ratio = rate ? measured.ratio().value_or(0) : 1 / measured.ratio().value_or(1);
    const bool ratio_reached = !benchmark.aim_ratio || ratio >= *benchmark.aim_ratio;
    if (!benchmark.aim && !benchmark.aim_ratio) return "";
    return reached && ratio_reached ? "ok" : "below aim";
}

std::string aim_text(const Benchmark& benchmark) {
    std::string aim;
    if (benchmark.aim) {
        aim += benchmark.figure == Figure::rate ? ">= " : "<= ";
        aim += text(benchmark, *benchmark.aim);
    }
    if (benchmark.aim_ratio) {
        aim += fmt::format("{}>= {:.3g}x", aim.empty() ? "" : ", ", *benchmark.aim_ratio);
    }
    return aim;
}

using Row = std::vector<std::string>;

Row row_of(const Benchmark& benchmark, const Measured& measured) {
    std::string twin;
    std::string ratio;
    if (measured.twin) {
        twin = fmt::format("{} ({})", text(benchmark, *measured.twin), benchmark.twin_name);
        const double times =
            benchmark.figure == Figure::rate ? *measured.ratio() : 1 / *measured.ratio();
        ratio = fmt::format("{:.2f}x", times);
    }
    return {benchmark.name,      text(benchmark, measured.subject), twin, ratio,
            aim_text(benchmark), verdict(benchmark, measured)};
}

void print_table(const std::vector<Row>& rows) {
    std::vector<std::size_t> widths(rows.front().size(), 0);
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += fmt::format("{:<{}}  ", row[i], widths[i]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        fmt::print("{}\n", line);
    }
}

int run(std::string_view filter, bool list, int repetitions) {
    std::vector<Row> rows = {{"benchmark", "rate", "twin", "ratio", "aim", ""}};
    for (const Benchmark& benchmark : registry()) {
        if (benchmark.name.find(filter) == std::string::npos) continue;
        if (list) {
            fmt::print("{}\n", benchmark.name);
            continue;
        }
        const int times = repetitions > 0 ? repetitions : benchmark.repetitions;
        rows.push_back(row_of(benchmark, measure(benchmark, times)));
    }
    if (!list) print_table(rows);
    return 0;
}

}  // namespace

Register::Register(Benchmark benchmark) { registry().push_back(std::move(benchmark)); }

}  // namespace orrery::perf

int main(int argc, char** argv) {
    std::string_view filter;
    bool list = false;
    int repetitions = 0;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--list") {
            list = true;
        } else if (argument == "--repetitions" && i + 1 < argc) {
            repetitions = std::atoi(argv[++i]);
        } else {
            filter = argument;
        }
    }
    return orrery::perf::run(filter, list, repetitions);
}
