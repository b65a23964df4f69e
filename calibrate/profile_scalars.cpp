#include "calibrate/profile_scalars.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "calibrate/profile_tables.hpp"
#include "calibrate/shapes.hpp"
#include "calibrate/statistics.hpp"

namespace orrery::calibrate {
namespace {

constexpr double kNotSlower = 1.02;

std::string statistics_of(const TableView& v, std::size_t row) {
    return fmt::format("n {:.0f}, spread {:.2f} %, {:.0f} MHz", v.number(row, "n_samples"),
                       100 * v.number(row, "spread"), v.number(row, "clock_MHz"));
}

// Rows of tables memory and memory_sizes with operands that come from device memory.
struct MemoryRow {
    const MeasuredTable* from;
    std::size_t row;
    std::string kind;
    double elements, bytes, time_us;
};

std::vector<MemoryRow> memory_rows(const Results& results) {
    std::vector<MemoryRow> rows;
    for (const char* name : {"memory", "memory_sizes"}) {
        const MeasuredTable* from = results.find(name);
        if (from == nullptr) continue;
        const TableView v(from->table);
        for (std::size_t i = 0; i < v.rows(); ++i)
            if (v.text(i, "cache") == "rotating")
                rows.push_back({from, i, v.text(i, "kind"),
                                v.number(i, "rows") * v.number(i, "columns"), v.number(i, "bytes"),
                                v.number(i, "time_us")});
    }
    return rows;
}

const MemoryRow* largest_copy(const std::vector<MemoryRow>& rows) {
    const MemoryRow* best = nullptr;
    for (const MemoryRow& r : rows)
        if (r.kind == "copy" && (best == nullptr || r.bytes > best->bytes)) best = &r;
    return best;
}

SheetValue copy_bandwidth(const MemoryRow& r) {
    return {
        "copy_bandwidth", fmt::format("{:.1f} GB/s", r.bytes / r.time_us / 1e3),
        measured_in(*r.from, fmt::format("copy kernel, {:.0f} MB read + written; {}", r.bytes / 1e6,
                                         statistics_of(TableView(r.from->table), r.row)))};
}

SheetValue kernel_floor(const std::vector<MemoryRow>& rows, const MemoryRow& copy) {
    std::vector<double> tiny;
    std::map<std::string, const MemoryRow*> smallest;
    for (const MemoryRow& r : rows) {
        if (r.elements == double(kFloorRows * kFloorColumns)) tiny.push_back(r.time_us);
        const MemoryRow*& least = smallest[r.kind];
        if (least == nullptr || r.bytes < least->bytes) least = &r;
    }
    if (!tiny.empty()) {
        const Summary s = summarize(tiny);
        return {"kernel_floor", fmt::format("{:.3g} us", s.median),
                measured_in(*copy.from,
                            fmt::format("{} kinds of kernel on {} values: {:.3g} to {:.3g} us", s.n,
                                        kFloorRows * kFloorColumns, s.low, s.high))};
    }
    std::vector<double> rest;
    for (const auto& [kind, r] : smallest)
        rest.push_back(r->time_us - r->bytes * copy.time_us / copy.bytes);
    Provenance from =
        measured_in(*copy.from,
                    "median over the kinds of the smallest shape's time less its bytes over "
                    "copy_bandwidth");
    from.origin = Origin::derived;
    return {"kernel_floor", fmt::format("{:.3g} us", summarize(rest).median), from};
}

// A pass has neighbours of all loops, and their mean differs less between cards than any.
void add_gap(const Results& results, const char* name, const char* what,
             std::vector<SheetValue>& values) {
    const MeasuredTable* from = results.find(name);
    if (from == nullptr || from->table.rows.empty()) return;
    const TableView v(from->table);
    double gap = 0;
    std::vector<std::string> loops;
    for (std::size_t i = 0; i < v.rows(); ++i) {
        gap += v.number(i, "gap_us") / double(v.rows());
        loops.push_back(fmt::format("{} {:.2f} us (n {:.0f}, spread {:.0f} %)", v.text(i, "loop"),
                                    v.number(i, "gap_us"), v.number(i, "n_samples"),
                                    100 * v.number(i, "spread")));
    }
    values.push_back(
        {name, fmt::format("{:.3g} us", gap),
         measured_in(*from, fmt::format("end of a kernel to the start of the next one of its "
                                        "{}, without a profiler; mean of {}",
                                        what, fmt::join(loops, " and ")))});
}

void add_saturating_sms(const Results& results, std::vector<SheetValue>& values) {
    const MeasuredTable* from = results.find("contention");
    if (from == nullptr) return;
    const TableView v(from->table);
    std::map<double, std::vector<double>> slowdowns;  // by SMs left
    for (std::size_t i = 0; i < v.rows(); ++i)
        if (v.text(i, "class") == "memory" && v.number(i, "communication_GBps_set") == 0)
            slowdowns[v.number(i, "sm") - v.number(i, "communication_sms")].push_back(
                v.number(i, "slowdown"));
    for (const auto& [sms, values_there] : slowdowns) {
        if (summarize(values_there).median > kNotSlower) continue;
        values.push_back(
            {"saturating_sms", fmt::format("{:.0f}", sms),
             measured_in(
                 *from,
                 fmt::format("{} kinds of memory-bound kernel are slower by {:.1f} % "
                             "(median) beside communication that holds the other SMs and "
                             "moves nothing{}",
                             values_there.size(), 100 * (summarize(values_there).median - 1),
                             sms == slowdowns.begin()->first ? "; fewer were not tried" : ""))});
        return;
    }
}

}  // namespace

Table device_table(const DeviceFacts& f) {
    return {"device",
            {"what", "value"},
            1,
            {{std::string("compute_capability"), f.major + f.minor / 10.0},
             {std::string("sms"), f.sms},
             {std::string("memory_bytes"), f.memory_bytes},
             {std::string("highest_clock_MHz"), f.highest_clock_mhz},
             {std::string("memory_clock_MHz"), f.memory_clock_mhz},
             {std::string("memory_bus_bits"), f.memory_bus_bits}}};
}

std::optional<DeviceFacts> device_facts(const Results& results) {
    const std::string device = results.heading_of("device");
    const auto bracket = device.find(" (");
    if (bracket == std::string::npos) return std::nullopt;
    DeviceFacts f;
    f.name = device.substr(0, bracket);
    f.sms = std::atoi(device.c_str() + bracket + 2);
    const MeasuredTable* table = results.find("device");
    if (table == nullptr) return f;
    const TableView v(table->table);
    const auto value = [&](const std::string& what) {
        for (std::size_t i = 0; i < v.rows(); ++i)
            if (v.text(i, "what") == what) return v.number(i, "value");
        return 0.0;
    };
    f.major = int(value("compute_capability"));
    f.minor = int(10 * (value("compute_capability") - f.major) + 0.5);
    f.memory_bytes = value("memory_bytes");
    f.highest_clock_mhz = value("highest_clock_MHz");
    f.memory_clock_mhz = value("memory_clock_MHz");
    f.memory_bus_bits = value("memory_bus_bits");
    return f;
}

std::vector<SheetValue> measured_scalars(const Results& results) {
    std::vector<SheetValue> values;
    if (const auto facts = device_facts(results))
        values.push_back({"sms",
                          fmt::format("{:.0f}", facts->sms),
                          {Origin::measured, "counted by CUDA on " + facts->name}});
    const std::vector<MemoryRow> rows = memory_rows(results);
    if (const MemoryRow* copy = largest_copy(rows)) {
        values.push_back(copy_bandwidth(*copy));
        values.push_back(kernel_floor(rows, *copy));
    }
    add_gap(results, "launch_gap", "stream, queued in advance", values);
    add_gap(results, "graph_gap", "CUDA graph", values);
    add_saturating_sms(results, values);
    return values;
}

}  // namespace orrery::calibrate
