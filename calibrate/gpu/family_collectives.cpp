// NCCL's collectives on 2, 4, 8 and all of this machine's GPUs, by algorithm, protocol and
// channels.

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "calibrate/collective_table.hpp"
#include "calibrate/gpu/check.hpp"
#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/nccl_group.hpp"
#include "calibrate/latency_fit.hpp"
#include "core/error.hpp"
#include "kernels/probe.hpp"

namespace orrery::calibrate {
namespace {

using K = CommunicationKind;

constexpr std::int64_t kLeast = 1 << 10, kMost = 1 << 30, kMostForced = 256 << 20;
constexpr int kStep = 4;
constexpr double kLongestUs = 20'000;  // a setting's larger sizes are left out beyond
constexpr StoppingRule kRule{6, 24, 0.01, 0.06};

const std::vector<std::string> kKeys = {"kind",     "ranks",    "algorithm",
                                        "protocol", "ctas_set", "bytes"};

Table samples_table() {
    Table t{"collectives", kKeys, kKeys.size(), {}};
    t.columns.insert(t.columns.end(),
                     {"bytes_sent", "time_us", "sent_GBps", "least_us", "p95_us", "shortest_us",
                      "n_samples", "spread", "event_us", "ctas", "nccl_estimate_us"});
    return t;
}

Table fit_table() {
    return {"collective_fits",
            {"kind", "ranks", "algorithm", "protocol", "ctas_set", "latency_us", "sent_GBps",
             "sizes", "fit_left_out_median", "fit_left_out_worst", "table_left_out_median",
             "table_left_out_worst"},
            5,
            {}};
}

struct Memory {
    std::vector<Buffer> send, receive;  // [gpu]
};

Memory allocate(const GpuGroup& gpus, std::int64_t bytes) {
    Memory memory;
    for (int g = 0; g < gpus.size(); ++g) {
        const OnGpu on(gpus.lane(g).device);
        memory.send.emplace_back(bytes);
        memory.receive.emplace_back(bytes);
        for (const Buffer& b : {std::cref(memory.send.back()), std::cref(memory.receive.back())})
            kernels::fill_random(b.as<void>(), bytes / 4, kernels::Fill::float_scale,
                                 std::uint64_t(g), gpus.lane(g).stream);
        ORRERY_CHECK(cudaStreamSynchronize(gpus.lane(g).stream));
    }
    return memory;
}

Row key(K kind, int ranks, const NcclSetting& s) {
    const auto text = [](const std::string& t) { return t.empty() ? std::string("default") : t; };
    return {std::string(to_string(kind)), double(ranks), text(s.algorithm), text(s.protocol),
            double(s.ctas)};
}

// One curve: all sizes of a kind under a setting. Returns the points that are in the journal.
std::vector<CostPoint> measure_curve(const Session& session, const GpuGroup& gpus,
                                     const NcclGroup& group, const Memory& memory, K kind,
                                     const NcclSetting& setting, std::int64_t most) {
    std::vector<CostPoint> points;
    std::string line;
    for (const std::int64_t bytes : size_sweep(kLeast, most, kStep)) {
        Row row = key(kind, group.ranks(), setting);
        row.emplace_back(double(bytes));
        if (session.journal.has("collectives", row)) continue;
        const GroupSubject subject{
            fmt::format("{} of {}", to_string(kind), size_text(bytes)), gpus.first(group.ranks()),
            [&](int) { group.launch(kind, bytes, memory.send, memory.receive); }, false};
        const double estimate = group.estimate_us(kind, bytes, memory.send, memory.receive);
        const GroupSeries r = time_group(session.bench.timer(), subject, kRule);
        const double sent = bytes_sent(kind, bytes, group.ranks()), us = r.longest_us.median;
        row.insert(row.end(), {sent, us, sent / us * 1e-3, r.least_us, r.longest_us.high,
                               r.shortest_us.median, double(r.longest_us.n), r.longest_us.spread,
                               r.event_us, double(r.ctas), estimate});
        session.journal.add(samples_table(), row);
        points.push_back({sent, us});
        line += fmt::format("{} {} {:.1f}", line.empty() ? "" : ",", size_text(bytes), us);
        if (estimate > 0) line += fmt::format(" ({:.1f})", estimate);
        if (us > kLongestUs) break;
    }
    if (!line.empty())
        session.progress(fmt::format("{}:{} us (NCCL's estimate)",
                                     key_of(key(kind, group.ranks(), setting), 5), line));
    return points;
}

void add_fit(const Session& session, K kind, int ranks, const NcclSetting& setting,
             const std::vector<CostPoint>& points) {
    Row row = key(kind, ranks, setting);
    if (points.size() < 3 || session.journal.has("collective_fits", row)) return;
    const CostLine line = fit_cost(points);
    const LeaveOneOut fit = leave_one_out_fit(points), table = leave_one_out_table(points);
    row.insert(row.end(), {line.latency_us, line.gigabytes_per_second(), double(points.size()),
                           fit.median, fit.worst, table.median, table.worst});
    session.journal.add(fit_table(), row);
    session.progress(
        fmt::format("  {:.2f} us + bytes sent / {:.1f} GB/s; one size left out: fit {:.1f} % "
                    "median, {:.1f} % worst; table {:.1f} %, {:.1f} %",
                    line.latency_us, line.gigabytes_per_second(), 100 * fit.median, 100 * fit.worst,
                    100 * table.median, 100 * table.worst));
}

// What can be chosen: protocols matter to the ring and tree collectives only, a tree to all-reduce.
struct Choice {
    NcclSetting setting;
    std::vector<K> kinds;
};

std::vector<Choice> choices(bool whole_machine) {
    const std::vector<K> ring = {K::all_reduce, K::all_gather, K::reduce_scatter, K::broadcast};
    std::vector<K> all = ring;
    all.insert(all.end(), {K::all_to_all, K::send_recv});
    std::vector<Choice> result;
    for (const int ctas : {0, 2, 8, 24}) result.push_back({{"", "", ctas}, all});
    if (!whole_machine) return result;
    for (const char* protocol : {"LL", "LL128", "Simple"}) {
        for (const int ctas : {0, 2, 8, 24}) result.push_back({{"Ring", protocol, ctas}, ring});
        result.push_back({{"Tree", protocol, 0}, {K::all_reduce}});
    }
    return result;
}

void measure_on(const Session& session, const NcclApi& api, const GpuGroup& gpus,
                const Memory& memory, int ranks, std::int64_t most) {
    for (const Choice& c : choices(ranks == gpus.size())) {
        try {
            const NcclGroup group(api, gpus, ranks, c.setting);
            const std::int64_t limit = c.setting.protocol.empty() && c.setting.ctas == 0
                                           ? most
                                           : std::min(most, kMostForced);
            for (const K kind : c.kinds)
                add_fit(session, kind, ranks, c.setting,
                        measure_curve(session, gpus, group, memory, kind, c.setting, limit));
        } catch (const InputError& e) {  // a choice that this NCCL does not offer
            session.progress(fmt::format("left out: {}, {} channels: {}",
                                         c.setting.algorithm + " " + c.setting.protocol,
                                         c.setting.ctas, e.what()));
            gpus.synchronize();
        }
    }
}

}  // namespace

void measure_collectives(const Session& session) {
    const GpuGroup gpus;
    if (gpus.size() < 2) {
        session.progress("left out: collectives need two GPUs, this machine has one");
        return;
    }
    std::string why;
    const auto api = NcclApi::open(why);
    if (!api) {
        session.progress("left out: " + why);
        return;
    }
    session.progress(fmt::format("NCCL {}, {} GPUs, NVLS off", api->version(), gpus.size()));
    const Table library{"collective_library", {"library", "version", "gpus"}, 1, {}};
    const Row row{std::string("NCCL"), api->version(), double(gpus.size())};
    if (!session.journal.has(library.name, {row[0]})) session.journal.add(library, row);
    const Memory memory = allocate(gpus, kMost);
    std::set<int> counts{gpus.size()};
    for (const int n : {2, 4, 8})
        if (n < gpus.size()) counts.insert(n);
    for (const int ranks : counts) measure_on(session, *api, gpus, memory, ranks, kMost);
    for (const Table& t : session.journal.tables()) {
        if (t.name != samples_table().name) continue;
        const Table node = node_collectives(t);
        for (const Row& r : node.rows)
            if (!session.journal.has(node.name, Row(r.begin(), r.begin() + 4)))
                session.journal.add(node, r);
        break;  // adding a table moved the others
    }
}

}  // namespace orrery::calibrate
