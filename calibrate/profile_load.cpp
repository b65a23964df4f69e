// What load does to operators: fewer SMs, traffic beside them, continuous running.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include <fmt/format.h>

#include "calibrate/profile_scalars.hpp"
#include "calibrate/profile_tables.hpp"
#include "calibrate/statistics.hpp"

namespace orrery::calibrate {
namespace {

double device_sms(const Results& results) {
    const auto facts = device_facts(results);
    return facts ? facts->sms : 0;
}

// One attention call beside a communication kernel, over the call alone on every SM.
struct Beside {
    std::string pass, shape;
    double sms, rate, slowdown;
};

std::vector<Beside> attention_beside(const MeasuredTable& from) {
    const TableView v(from.table);
    std::vector<Beside> calls;
    for (std::size_t i = 0; i < v.rows(); ++i) {
        if (v.text(i, "class") != "attention") continue;
        const std::string pass = v.text(i, "operator");
        std::string shape = pass;
        for (const char* c : {"m", "n", "k"}) shape += "|" + v.text(i, c);
        calls.push_back({pass, shape, v.number(i, "communication_sms"),
                         v.number(i, "communication_GBps_set"), v.number(i, "slowdown")});
    }
    return calls;
}

double mean(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

void add_attention_load(const Results& results, std::vector<ProfileTable>& tables) {
    const MeasuredTable* from = results.find("contention");
    if (from == nullptr) return;
    const std::vector<Beside> calls = attention_beside(*from);
    std::map<std::pair<std::string, double>, std::vector<double>> limited, idle;
    for (const Beside& b : calls)
        if (b.rate == 0) {
            limited[{b.pass, device_sms(results) - b.sms}].push_back(b.slowdown);
            idle[{b.shape, b.sms}].push_back(b.slowdown);
        }
    std::map<std::pair<double, double>, std::vector<double>> traffic;
    for (const Beside& b : calls)
        if (const auto i = idle.find({b.shape, b.sms}); i != idle.end())
            traffic[{b.sms, b.rate}].push_back(b.slowdown / mean(i->second));
    Table sms{"attention_sms", {"pass", "sm", "slowdown", "shapes"}, 2, {}};
    for (const auto& [key, values] : limited)
        sms.rows.push_back({key.first, key.second, std::round(1e4 * summarize(values).median) / 1e4,
                            double(values.size())});
    Table surface{"contention",
                  {"class", "communication_sms", "communication_GBps", "slowdown", "operators"},
                  3,
                  {}};
    for (const auto& [key, values] : traffic)
        surface.rows.push_back({std::string("attention"), key.first, key.second,
                                std::round(1e5 * summarize(values).median) / 1e5,
                                double(values.size())});
    if (sms.rows.empty()) return;
    tables.push_back(
        {"attention_sms", sms,
         measured_in(*from,
                     "beside a communication kernel that holds SMs and moves nothing: median over "
                     "shapes of time beside over time alone on all SMs")});
    tables.push_back({"contention", surface,
                      measured_in(*from,
                                  "median over shapes, over the same SMs held by communication "
                                  "that moves nothing")});
}

void add_contention(const Results& results, std::vector<ProfileTable>& tables) {
    const MeasuredTable* from = results.find("contention_surface");
    if (from == nullptr) return;
    const TableView v(from->table);
    Table surface{"contention",
                  {"class", "communication_sms", "communication_GBps", "slowdown", "operators"},
                  3,
                  {}};
    for (std::size_t i = 0; i < v.rows(); ++i) {
        if (v.text(i, "class") == "attention") continue;  // split into SMs and traffic above
        Row row;
        for (const std::string& c : surface.columns) row.push_back(v.cell(i, c));
        surface.rows.push_back(std::move(row));
    }
    tables.push_back(
        {"contention", surface,
         measured_in(*from,
                     "median over operators whose thread-block clusters hold at most 2 CTAs of "
                     "time beside over time alone on the same SMs (memory: the whole device)")});
}

const std::vector<std::string> kSustained = {
    "load",  "class",    "operator", "precision", "m",      "n",         "k",      "sm",
    "bytes", "burst_us", "time_us",  "n_samples", "spread", "clock_MHz", "power_W"};

// Bytes of the memory-bound kernels, which the rows of table sustained do not hold.
using Sizes = std::map<std::tuple<std::string, double, double>, double>;
Sizes memory_sizes(const Results& results) {
    Sizes sizes;
    for (const char* name : {"memory", "memory_sizes"})
        if (const MeasuredTable* from = results.find(name)) {
            const TableView v(from->table);
            for (std::size_t i = 0; i < v.rows(); ++i)
                sizes[{v.text(i, "kind"), v.number(i, "rows"), v.number(i, "columns")}] =
                    v.number(i, "bytes");
        }
    return sizes;
}

void add_sustained(const Results& results, std::vector<ProfileTable>& tables) {
    const MeasuredTable* from = results.find("sustained");
    if (from == nullptr) return;
    const Sizes sizes = memory_sizes(results);
    const TableView v(from->table);
    Table table{"sustained", kSustained, 8, {}};
    for (std::size_t i = 0; i < v.rows(); ++i) {
        // Beside communication: a check of contention and clock together, not a price.
        if (v.text(i, "load").find("beside") != std::string::npos) continue;
        const auto size = sizes.find({v.text(i, "operator"), v.number(i, "m"), v.number(i, "n")});
        const bool is_memory = v.text(i, "class") == "memory";
        if (is_memory && size == sizes.end()) continue;  // without bytes it has no burst price
        Row row;
        for (const std::string& c : kSustained) {
            if (c == "bytes")
                row.emplace_back(is_memory ? size->second : 0.0);
            else
                row.push_back(v.cell(i, c));
        }
        table.rows.push_back(std::move(row));
    }
    const Table decoding = decode_mix_rows(results);
    table.rows.insert(table.rows.end(), decoding.rows.begin(), decoding.rows.end());
    std::vector<const MeasuredTable*> sources{from};
    if (!decoding.rows.empty()) sources.push_back(results.find("between_gpus"));
    if (table.rows.empty()) return;
    tables.push_back(
        {"sustained", table,
         measured_in(
             sources,
             "the last 40 % of seconds without a pause; layer_mix: GEMMs, attention "
             "and memory kernels of a MoE layer in turn (layer_mix_112: GEMMs on 112 SMs), "
             "alone: one kernel; decode_mix: a decoding layer's kernels, medians over GPUs; "
             "of attention m heads, n length, k query features")});
}

}  // namespace

void add_load_tables(const Results& results, std::vector<ProfileTable>& tables) {
    add_contention(results, tables);
    add_attention_load(results, tables);
    add_sustained(results, tables);
}

}  // namespace orrery::calibrate
