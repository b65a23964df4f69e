// The "workload" block of a serving scenario.
#include <cmath>

#include "serving/workload.hpp"
#include "study/serving_reader.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kMostLength = 16 * 1024 * 1024;
constexpr std::int64_t kMostRequests = 1'000'000'000;
constexpr std::int64_t kMostRepeats = 1'000'000;

// A number of tokens, or {"distribution": ...}.
LengthDistribution read_length(ServingReader& reader, const ConfigNode& block, const char* key) {
    const auto node = block.find(key);
    if (!node) block.fail(fmt::format("must have {}: tokens or a distribution", key));
    if (!node->is_object()) return fixed_length(reader.integer(block, key, 1, 1, kMostLength));
    LengthDistribution length;
    const auto bound = [&](const char* name, std::int64_t otherwise) {
        return reader.integer(*node, name, otherwise, 1, kMostLength);
    };
    switch (
        reader.choice(*node, "distribution", 0, {"fixed", "uniform", "lognormal", "histogram"})) {
        case 0:
            length = fixed_length(bound("tokens", 1));
            break;
        case 1:
            length.family = LengthFamily::uniform;
            length.low = bound("min", 1);
            length.high = bound("max", kMostLength);
            break;
        case 2:
            length.family = LengthFamily::lognormal;
            length.low = bound("min", 1);
            length.high = bound("max", kMostLength);
            length.mean = reader.number(*node, "mean", 1000, 1, static_cast<double>(kMostLength));
            length.sigma = reader.number(*node, "sigma", 1, 0, 5);
            break;
        default: {
            std::vector<std::pair<std::int64_t, double>> weights;
            for (const ConfigNode& row : node->at("steps").elements()) {
                if (row.size() != 2) row.fail("must be [tokens, weight]");
                weights.emplace_back(row.at(0).as_integer(1, kMostLength), row.at(1).as_number());
            }
            if (weights.empty()) node->at("steps").fail("must not be empty");
            reader.note(*node, "steps", node->at("steps").dump(-1));
            length = histogram_length(std::move(weights), node->place("steps"));
        }
    }
    if (length.low > length.high) node->fail("min must be at most max");
    return length;
}

ArrivalProcess read_arrivals(ServingReader& reader, const ConfigNode& block) {
    const ConfigNode node = block.at("arrivals");
    ArrivalProcess arrivals;
    arrivals.family = static_cast<ArrivalFamily>(
        reader.choice(node, "process", 0, {"poisson", "gamma", "weibull", "fixed"}));
    arrivals.rate = reader.number(node, "rate", 1, 1e-9, 1e9);
    if (arrivals.family == ArrivalFamily::gamma) {
        const double cv = reader.number(node, "cv", 1, 0.01, 100);
        arrivals.shape = 1 / (cv * cv);
    } else if (arrivals.family == ArrivalFamily::weibull) {
        arrivals.shape = reader.number(node, "shape", 1, 0.05, 100);
    }
    return arrivals;
}

// All requests must come within the range of simulated time, or some are left out by `duration`.
void check_rate(const ConfigNode& block, const SyntheticWorkload& workload) {
    const double seconds = static_cast<double>(workload.requests) / workload.arrivals.rate;
    const double most = to_seconds(kLatestArrival).value();
    if (seconds < most || block.has("duration")) return;
    const ConfigNode arrivals = block.at("arrivals");
    const std::string rule = fmt::format(
        "{} requests take {:.4g} s: must take less than {:g} s, or end by workload.duration",
        workload.requests, seconds, most);
    arrivals.has("rate") ? arrivals.at("rate").fail(rule) : block.at("requests").fail(rule);
}

fs::path trace_file(ServingReader& reader, const ConfigNode& block) {
    const ConfigNode node = block.at("trace");
    const fs::path file = resolve_file(node, reader.scenario.file);
    reader.note_text(block, "trace", node.as_string());
    reader.result.trace_files.push_back(file);
    return file;
}

using Open = std::function<RequestStream()>;

Open read_synthetic(ServingReader& reader, const ConfigNode& block, bool closed, bool lengths) {
    SyntheticWorkload workload;
    std::function<std::function<Lengths()>()> open_lengths;
    if (lengths) {
        const fs::path file = trace_file(reader, block);
        const TraceOptions options{.skip_bad_lines = reader.flag(block, "skip_bad_lines", false)};
        open_lengths = [file, options] { return length_trace(file, options); };
    } else {
        workload.prompt = read_length(reader, block, "prompt");
        workload.output = read_length(reader, block, "output");
    }
    workload.requests = reader.integer(block, "requests", 1000, 1, kMostRequests);
    workload.cached_fraction = reader.number(block, "cached", 0, 0, 1);
    workload.seed = static_cast<std::uint64_t>(reader.integer(block, "seed", 1, 0, INT64_MAX));
    if (!closed) {
        workload.arrivals = read_arrivals(reader, block);
        check_rate(block, workload);
        return [workload, open_lengths]() mutable {
            if (open_lengths) workload.lengths = open_lengths();
            return synthetic_stream(workload);
        };
    }
    ClosedLoop loop;
    loop.users = reader.integer(block, "users", 1, 1, 100'000'000);
    loop.think_seconds = to_seconds(reader.duration(block, "think")).value();
    loop.workload = workload;
    return [loop, open_lengths]() mutable {
        if (open_lengths) loop.workload.lengths = open_lengths();
        return closed_loop_stream(loop);
    };
}

Open read_servegen(ServingReader& reader, const ConfigNode& block) {
    ServeGenOptions options;
    const fs::path file = trace_file(reader, block);
    options.rate_scale = reader.number(block, "rate_scale", 1, 1e-6, 1e6);
    options.begin_seconds = to_seconds(reader.duration(block, "begin")).value();
    options.end_seconds =
        to_seconds(reader.duration(block, "end", to_sim_duration(Seconds(86400)))).value();
    options.seed = static_cast<std::uint64_t>(reader.integer(block, "seed", 1, 0, INT64_MAX));
    return [file, options] { return servegen_stream(file, options); };
}

// rate_scale, repeat, requests and duration of traces.
Open read_trace(ServingReader& reader, const ConfigNode& block, bool azure) {
    const fs::path file = trace_file(reader, block);
    const TraceOptions options{.skip_bad_lines = reader.flag(block, "skip_bad_lines", false)};
    const double scale = reader.number(block, "rate_scale", 1, 1e-6, 1e6);
    const std::int64_t repeat = reader.integer(block, "repeat", 1, 1, kMostRepeats);
    const bool ends = block.has("requests") || block.has("duration");
    const std::string where = ends ? "" : fmt::format("{} = {}", block.place("repeat"), repeat);
    const std::int64_t requests =
        reader.integer(block, "requests", kMostRequests, 1, kMostRequests);
    return [=] {
        const auto open = [=] {
            RequestStream stream =
                azure ? azure_trace(file, options) : mooncake_trace(file, options);
            return scale == 1 ? stream : with_rate_scale(stream, scale);
        };
        return limited(repeat == 1 ? open() : repeated(open, repeat, where), requests);
    };
}

}  // namespace

void read_workload(ServingReader& reader) {
    const ConfigNode block = reader.scenario.document.at("workload");
    Open open;
    switch (reader.choice(block, "format", 0,
                          {"synthetic", "closed_loop", "azure", "mooncake", "servegen", "lengths",
                           "closed_loop_lengths"})) {
        case 0:
            open = read_synthetic(reader, block, false, false);
            break;
        case 1:
            open = read_synthetic(reader, block, true, false);
            break;
        case 2:
            open = read_trace(reader, block, true);
            break;
        case 3:
            open = read_trace(reader, block, false);
            break;
        case 4:
            open = read_servegen(reader, block);
            break;
        case 5:
            open = read_synthetic(reader, block, false, true);
            break;
        default:
            open = read_synthetic(reader, block, true, true);
    }
    if (const auto duration = block.find("duration")) {
        const SimDuration until = reader.duration(block, "duration");
        open = [open, until] { return limited(open(), INT64_MAX, SimTime{until.ps}); };
    }
    block.reject_unknown_keys();
    reader.result.open_workload = [open, where = block.place()] {
        return within_range(open(), where);
    };
}

}  // namespace orrery
