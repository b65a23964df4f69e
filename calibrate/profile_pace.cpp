// How GPUs of one kind differ: tables "between_gpus" and "jitter" of several GPUs to family "pace",
// and what continuous decoding does to the rows of family "sustained".
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "calibrate/profile_tables.hpp"
#include "calibrate/statistics.hpp"

namespace orrery::calibrate {
namespace {

constexpr double kWindowMs = 8;  // about a phase between two all-to-alls
constexpr const char* kKernels[] = {"compute-bound", "memory-bound", "all"};

bool belongs(const std::string& op_class, const std::string& kernels) {
    return kernels == "all" || (op_class == "memory") == (kernels == "memory-bound");
}

std::string item_of(const TableView& v, std::size_t row) {
    std::string item;
    for (const char* c : {"class", "operator", "precision", "m", "n", "k", "sm"})
        item += v.text(row, c) + fmt::format(" {} ", v.number(row, c));
    return item;
}

// One run of a mix, by GPU: the longest each GPU has, or the shortest.
struct MixTimes {
    std::map<std::string, std::map<std::string, double>> by_gpu;  // GPU -> item -> us
    std::map<std::string, std::string> class_of;                  // item -> class
};

double length_of_run(const TableView& v, const std::string& load, bool longest) {
    double length = longest ? 0 : 1e9;
    for (std::size_t i = 0; i < v.rows(); ++i)
        if (v.text(i, "load") == load)
            length = longest ? std::max(length, v.number(i, "seconds"))
                             : std::min(length, v.number(i, "seconds"));
    return length;
}

MixTimes times_of(const TableView& v, const std::string& load, bool longest) {
    MixTimes times;
    const double length = length_of_run(v, load, longest);
    for (std::size_t i = 0; i < v.rows(); ++i) {
        if (v.text(i, "load") != load || v.number(i, "seconds") != length) continue;
        const std::string item = item_of(v, i);
        times.by_gpu[v.text(i, "gpu")][item] = v.number(i, "time_us");
        times.class_of[item] = v.text(i, "class");
    }
    return times;
}

// Each GPU's time of the kernels that `reference` has, over the reference's.
std::vector<double> over(const MixTimes& times, const std::map<std::string, double>& reference,
                         const std::string& kernels) {
    std::vector<double> ratios;
    for (const auto& [gpu, items] : times.by_gpu) {
        double sum = 0, of_reference = 0;
        for (const auto& [item, time] : items) {
            const auto found = reference.find(item);
            if (found == reference.end() || !belongs(times.class_of.at(item), kernels)) continue;
            sum += time;
            of_reference += found->second;
        }
        if (of_reference > 0) ratios.push_back(sum / of_reference);
    }
    return ratios;
}

struct Moments {
    double mean = 1, deviation = 0;  // deviation relative to the mean
};
Moments moments(const std::vector<double>& values) {
    Moments m;
    if (values.empty()) return m;
    m.mean = 0;
    for (const double v : values) m.mean += v / double(values.size());
    if (values.size() < 2) return m;
    double squares = 0;
    for (const double v : values) squares += (v - m.mean) * (v - m.mean);
    m.deviation = std::sqrt(squares / double(values.size() - 1)) / m.mean;
    return m;
}

// Of the mix' own GPU, from table "sustained": item -> us.
std::map<std::string, double> own_times(const Results& results, const std::string& load) {
    std::map<std::string, double> times;
    const MeasuredTable* from = results.find("sustained");
    if (from == nullptr) return times;
    const TableView v(from->table);
    for (std::size_t i = 0; i < v.rows(); ++i)
        if (v.text(i, "load") == load) times[item_of(v, i)] = v.number(i, "time_us");
    return times;
}

// From moment to moment: median over the GPUs, of the longest run.
double jitter(const TableView& v, const std::string& load, const std::string& kernels) {
    const double length = length_of_run(v, load, true);
    std::vector<double> deviations;
    for (std::size_t i = 0; i < v.rows(); ++i)
        if (v.text(i, "load") == load && v.text(i, "kernels") == kernels &&
            v.number(i, "seconds") == length && v.number(i, "window_ms") == kWindowMs)
            deviations.push_back(v.number(i, "deviation"));
    return summarize(deviations).median;
}

// Memory-bound kernels' share of a mix.
double memory_share(const MixTimes& times) {
    double all = 0, memory = 0;
    for (const auto& [gpu, items] : times.by_gpu)
        for (const auto& [item, time] : items) {
            all += time;
            if (times.class_of.at(item) == "memory") memory += time;
        }
    return memory / all;
}

void add_load(const Results& results, const TableView& gpus, const TableView& moves,
              const std::string& load, Table& table) {
    const MixTimes warm = times_of(gpus, load, true), brief = times_of(gpus, load, false);
    if (warm.by_gpu.empty()) return;
    const auto& reference = warm.by_gpu.begin()->second;
    const auto own = own_times(results, load);
    const double share = memory_share(warm);
    const double compute = jitter(moves, load, "compute-bound");
    const double memory = jitter(moves, load, "memory-bound");
    for (const std::string kernels : kKernels) {
        const double within = kernels == "all" ? std::hypot((1 - share) * compute, share * memory)
                              : kernels == "compute-bound" ? compute
                                                           : memory;
        const double between = moments(over(warm, reference, kernels)).deviation;
        const double mean = own.empty() ? 1 : moments(over(brief, own, kernels)).mean;
        table.rows.push_back({load, kernels, rounded(mean), rounded(std::hypot(within, between)),
                              rounded(within), rounded(between), double(warm.by_gpu.size())});
    }
}

}  // namespace

void add_pace_tables(const Results& results, std::vector<ProfileTable>& tables) {
    const MeasuredTable* gpus = results.find("between_gpus");
    const MeasuredTable* moves = results.find("jitter");
    if (gpus == nullptr || moves == nullptr) return;
    Table table{
        "pace",
        {"load", "kernels", "mean", "deviation", "from_moment_to_moment", "between_gpus", "gpus"},
        2,
        {}};
    for (const char* load : {"layer_mix", "decode_mix"})
        add_load(results, TableView(gpus->table), TableView(moves->table), load, table);
    tables.push_back(
        {"pace", table,
         measured_in({gpus, moves},
                     fmt::format("relative standard deviation of the time of the same kernels in "
                                 "windows of {} ms of a layer's mix without a pause (median over "
                                 "GPUs), and between GPUs; mean: over GPUs, relative to the one "
                                 "that the other tables were measured on",
                                 kWindowMs))});
}

Table decode_mix_rows(const Results& results) {
    Table table{"sustained", {}, 8, {}};
    const MeasuredTable* from = results.find("between_gpus");
    if (from == nullptr) return table;
    const TableView v(from->table);
    std::map<std::string, std::vector<std::size_t>> rows;
    for (std::size_t i = 0; i < v.rows(); ++i)
        if (v.text(i, "load") == "decode_mix") rows[item_of(v, i)].push_back(i);
    const auto median = [&](const std::vector<std::size_t>& of, const char* column) {
        std::vector<double> values;
        for (const std::size_t i : of) values.push_back(v.number(i, column));
        return rounded(summarize(values).median);
    };
    for (const auto& [item, of] : rows) {
        const std::size_t i = of[0];
        table.rows.push_back({v.cell(i, "load"), v.cell(i, "class"), v.cell(i, "operator"),
                              v.cell(i, "precision"), v.cell(i, "m"), v.cell(i, "n"),
                              v.cell(i, "k"), v.cell(i, "sm"), 0.0, median(of, "burst_us"),
                              median(of, "time_us"), double(of.size()), 0.0,
                              median(of, "clock_MHz"), median(of, "power_W")});
    }
    return table;
}

}  // namespace orrery::calibrate
