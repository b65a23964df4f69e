// Our expert dispatch and combine over NVLink on 2, 4 and 8 GPUs, and GEMMs beside them.

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "calibrate/gpu/check.hpp"
#include "calibrate/gpu/contention.hpp"
#include "calibrate/gpu/expert_node.hpp"
#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/gemm.hpp"

namespace orrery::calibrate {
namespace {

using S = ExpertStep;

constexpr std::int64_t kMostTokens = 8192;
constexpr StoppingRule kRule{8, 32, 0.01, 0.06};
constexpr StoppingRule kBesideRule{8, 24, 0.01, 0.15};

Table expert_table() {
    return {"expert_all_to_all",
            {"step",
             "ranks",
             "tokens",
             "routing",
             "ctas",
             "payload_bytes",
             "rows_received",
             "rows_received_most",
             "rows_from_others",
             "rows_from_others_most",
             "time_us",
             "received_GBps",
             "nvlink_GBps",
             "token_node_GBps",
             "least_us",
             "p95_us",
             "shortest_us",
             "n_samples",
             "spread",
             "event_us"},
            5,
            {}};
}

void measure(const Session& session, ExpertNode& node, S step, std::int64_t tokens, Routing routing,
             int ctas) {
    Row row{to_string(step), double(node.size()), double(tokens), to_string(routing), double(ctas)};
    if (session.journal.has("expert_all_to_all", row)) return;
    const GroupSubject subject{fmt::format("{} of {} tokens", to_string(step), tokens),
                               node.lanes(), [&](int call) { node.launch(step, ctas, call); },
                               false};
    const GroupSeries r = time_group(session.bench.timer(), subject, kRule);
    node.check();
    const RowCounts& rows = node.rows();
    const double bytes = payload_bytes(step), us = r.longest_us.median;
    const auto rate = [&](double n) { return n * bytes / us * 1e-3; };
    row.insert(row.end(),
               {bytes, rows.received, rows.received_most, rows.from_others, rows.from_others_most,
                us, rate(rows.received), rate(rows.from_others), rate(double(tokens)), r.least_us,
                r.longest_us.high, r.shortest_us.median, double(r.longest_us.n),
                r.longest_us.spread, r.event_us});
    session.journal.add(expert_table(), row);
    std::string line =
        fmt::format("{}, {} ranks, {} tokens, {}, {} CTAs: {:.1f} us", to_string(step), node.size(),
                    tokens, to_string(routing), ctas, us);
    if (bytes > 0)
        line += fmt::format(", received {:.1f} GB/s (over NVLink {:.1f})", rate(rows.received),
                            rate(rows.from_others));
    session.progress(line);
}

void measure_node(const Session& session, ExpertNode& node) {
    for (const std::int64_t tokens : {128, 512, 1024, 2048, 4096, 8192}) {
        node.set_routing(Routing::balanced, tokens);
        measure(session, node, S::layout, tokens, Routing::balanced, node.size());
        for (const S step : {S::dispatch_fp8, S::dispatch_bf16, S::combine}) {
            for (const int ctas : {8, 12, 16, 20, 24})
                measure(session, node, step, tokens, Routing::balanced, ctas);
            if (tokens == 4096)
                for (const int ctas : {2, 4, 32, 64, 132})
                    measure(session, node, step, tokens, Routing::balanced, ctas);
        }
    }
    for (const std::int64_t tokens : {512, 4096}) {
        node.set_routing(Routing::skewed, tokens);
        for (const S step : {S::dispatch_fp8, S::dispatch_bf16, S::combine})
            for (const int ctas : {8, 20, 24})
                measure(session, node, step, tokens, Routing::skewed, ctas);
    }
}

// Queues calls of one step on every rank until told to stop, some tens ahead of the GPUs.
class StepLoop {
  public:
    StepLoop(ExpertNode& node, S step, int ctas)
        : node_(node), thread_([this, step, ctas] { run(step, ctas); }) {
        while (!running_) std::this_thread::yield();
    }
    // Microseconds a call, from start to stop.
    double stop() {
        stop_ = true;
        thread_.join();
        return us_;
    }
    ~StepLoop() {
        if (thread_.joinable()) stop();
    }

  private:
    void run(S step, int ctas) {
        constexpr int kAhead = 16;
        const Lane lane = node_.lanes()[0];
        const OnGpu on(lane.device);
        cudaEvent_t begin = nullptr, ends[2] = {};
        cudaEventCreate(&begin);
        for (cudaEvent_t& e : ends) cudaEventCreate(&e);
        cudaEventRecord(begin, lane.stream);
        int turn = 0;
        for (; !stop_ || turn < 2; ++turn) {
            for (int i = 0; i < kAhead; ++i) node_.launch(step, ctas, i);
            if (turn > 0) cudaEventSynchronize(ends[(turn - 1) % 2]);
            cudaEventRecord(ends[turn % 2], lane.stream);
            running_ = true;
        }
        cudaStreamSynchronize(lane.stream);
        float ms = 0;
        cudaEventElapsedTime(&ms, begin, ends[(turn - 1) % 2]);
        us_ = double(ms) * 1000 / (turn * kAhead);
        cudaEventDestroy(begin);
        for (cudaEvent_t e : ends) cudaEventDestroy(e);
    }
    ExpertNode& node_;
    std::atomic<bool> stop_{false}, running_{false};
    double us_ = 0;
    std::thread thread_;
};

struct Beside {
    GemmCase gemm;
    int cluster = 1;
    Subject subject;
    Series alone;
};

void add_beside(const Session& session, const Beside& b, const std::string& beside, int ctas,
                double rate_set, double nvlink_gbps, const Series& r) {
    static const Table kTable{
        "expert_contention",
        {"operator", "m", "n", "k", "sm", "cluster_ctas", "beside", "communication_sms",
         "nvlink_GBps_set", "nvlink_GBps", "time_alone_us", "time_beside_us", "slowdown",
         "n_samples", "spread", "clock_MHz", "clock_alone_MHz"},
        9,
        {}};
    const Gemm& g = b.gemm.gemm;
    const double ratio = r.time_us.median / b.alone.time_us.median;
    const Row row{std::string(to_string(g.precision)) + (g.accumulate ? "_accumulate" : ""),
                  double(g.m),
                  double(g.n),
                  double(g.k),
                  double(b.gemm.sms),
                  double(b.cluster),
                  beside,
                  double(ctas),
                  rate_set,
                  nvlink_gbps,
                  b.alone.time_us.median,
                  r.time_us.median,
                  ratio,
                  double(r.time_us.n),
                  r.time_us.spread,
                  r.clock_mhz,
                  b.alone.clock_mhz};
    if (session.journal.has(kTable.name, Row(row.begin(), row.begin() + 9))) return;
    session.journal.add(kTable, row);
    session.progress(fmt::format(
        "{} (clusters of {}) beside {} on {} CTAs, NVLink {:.0f} GB/s: {:.1f} -> {:.1f} us, x "
        "{:.3f}",
        b.subject.name, b.cluster, beside, ctas, nvlink_gbps, b.alone.time_us.median,
        r.time_us.median, ratio));
}

// A kernel on each of GPUs 0 and 1 that writes to the other one at a set rate.
void beside_peer_writes(const Session& session, const GpuGroup& gpus,
                        const std::vector<Beside>& gemms, int ctas) {
    const Device second(gpus.lane(1).device, Allowed{true, true});
    ORRERY_CHECK(cudaSetDevice(gpus.lane(0).device));
    BackgroundCommunication out(session.device, gpus.lane(1).device);
    const auto on_second = [&](auto&& what) {
        const OnGpu on(gpus.lane(1).device);
        return what();
    };
    auto in = on_second(
        [&] { return std::make_unique<BackgroundCommunication>(second, gpus.lane(0).device); });
    for (const double rate : {0.0, 25.0, 50.0, 100.0, 150.0, 200.0, -1.0})
        for (const Beside& b : gemms) {
            const CommunicationSetting setting{ctas, 2, true, 2 * rate};
            if (!on_second([&] { return in->start(setting); })) continue;
            CommunicationReport report;
            const auto r = beside(session.device, session.bench, kBesideRule, out, b.subject,
                                  setting, false, report);
            on_second([&] { return in->stop(); });
            if (r)
                add_beside(session, b, "peer writes", ctas, rate, report.gigabytes_per_second / 2,
                           *r);
        }
    on_second([&] {
        in.reset();
        return 0;
    });
}

void beside_steps(const Session& session, ExpertNode& node, const std::vector<Beside>& gemms,
                  int ctas) {
    node.set_routing(Routing::balanced, 4096);
    for (const S step : {S::dispatch_fp8, S::combine})
        for (const Beside& b : gemms) {
            StepLoop loop(node, step, ctas);
            const Series r = session.bench.burst(b.subject, kBesideRule);
            const double us = loop.stop();
            add_beside(session, b, to_string(step), ctas, -1,
                       node.rows().from_others * payload_bytes(step) / us * 1e-3, r);
            node.check();
        }
}

void measure_beside(const Session& session, const GpuGroup& gpus, ExpertNode& node) {
    constexpr int kCtas = 20;
    constexpr Precision kBlock = Precision::fp8_block;
    const GemmRunner runner(session.device);
    std::vector<Beside> gemms;
    const std::int64_t sms = session.device.info().sms - kCtas;
    for (const Gemm& g :
         {Gemm{4096, 4096, 7168, kBlock, false}, Gemm{4096, 7168, 16384, kBlock, false},
          Gemm{32768, 4096, 7168, kBlock, false}, Gemm{7168, 16384, 4096, kBlock, true},
          Gemm{4096, 4096, 7168, Precision::bf16, false}}) {
        const GemmCase c{g, sms, false};
        const auto algorithm = small_cluster_algorithm(session, runner, c);
        if (!algorithm) continue;
        Beside b{c, cluster_ctas(algorithm->cluster_shape), runner.subject(c, *algorithm), {}};
        b.alone = session.bench.burst(b.subject, kBesideRule);
        gemms.push_back(b);
    }
    beside_peer_writes(session, gpus, gemms, kCtas);
    beside_steps(session, node, gemms, kCtas);
}

}  // namespace

void measure_expert_all_to_all(const Session& session) {
    const GpuGroup gpus;
    if (gpus.size() < 2 || !gpus.all_peers()) {
        session.progress(gpus.size() < 2
                             ? "left out: expert all-to-all needs two GPUs, this machine has one"
                             : "left out: not all GPUs can access each other's memory");
        return;
    }
    std::set<int> counts;
    for (const int n : {2, 4, 8})
        if (n <= gpus.size()) counts.insert(n);
    for (const int ranks : counts) {
        ExpertNode node(gpus, ranks, kMostTokens);
        measure_node(session, node);
        if (ranks == *counts.rbegin()) measure_beside(session, gpus, node);
    }
}

}  // namespace orrery::calibrate
