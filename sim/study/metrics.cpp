#include "study/metrics.hpp"

#include <charconv>
#include <stdexcept>

#include <fmt/format.h>

namespace orrery {
namespace {

// "272.8e9 tokens/day": a number and exactly that unit.
double number_with(const ConfigNode& node, std::string_view unit) {
    const std::string text = node.as_string();
    double number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || std::string_view(rest, end) != fmt::format(" {}", unit)) {
        node.fail(fmt::format("must be a figure such as \"272.8e9 {}\"", unit));
    }
    return number;
}

double hours(const ConfigNode& node) {
    const std::string text = node.as_string();
    if (!text.ends_with(" h")) node.fail("must be a time in hours such as \"2664e3 h\"");
    return node.as_quantity<Seconds>().value() / 3600;
}

PublishedFigure read_one(const ConfigNode& node) {
    PublishedFigure figure;
    figure.metric = node.at("metric").as_string();
    const MetricKind* kind = find_metric_kind(figure.metric);
    if (kind == nullptr) {
        std::string names;
        for (const MetricKind& k : metric_kinds()) {
            names += fmt::format("{}{}", names.empty() ? "" : ", ", k.name);
        }
        node.at("metric").fail("must be one of " + names);
    }
    figure.value = read_figure(node.at("value"), *kind);
    figure.citation = node.at("citation").as_string();
    if (figure.citation.empty()) node.at("citation").fail("must say where it was published");
    if (const auto note = node.find("note")) figure.note = note->as_string();
    if (const auto id = node.find("id")) id->as_string();
    figure.calibration = node.at("calibration").as_bool();
    node.reject_unknown_keys();
    return figure;
}

}  // namespace

const std::vector<MetricKind>& metric_kinds() {
    static const std::vector<MetricKind> kinds = {
        {"step_time", "s", "time per step"},
        {"chunk_pair_time", "s", "one F&B chunk pair"},
        {"time_1f", "s", "forward alone (1F)"},
        {"time_1b", "s", "backward alone (1B)"},
        {"time_1w", "s", "weight gradients (1W)"},
        {"time_1f1b", "s", "F&B overlapped (1F1B)"},
        {"time_bubble", "s", "bubble (waiting)"},
        {"time_optimizer", "s", "optimizer"},
        {"tokens_per_day", "tokens/day", "tokens per day"},
        {"mfu_causal", "1", "MFU (causal attention)"},
        {"mfu_non_causal", "1", "MFU (full attention)"},
        {"gpu_hours", "h", "GPU hours"},
        {"cost", "USD", "cost"},
        {"peak_memory", "B", "peak memory"},
        {"fits_memory", "1", "fits"},
        {"dispatch_time", "s", "expert dispatch"},
        {"dispatch_bandwidth", "B/s", "expert dispatch, rate as DeepEP counts"},
        {"combine_time", "s", "expert combine"},
        {"combine_bandwidth", "B/s", "expert combine, rate as DeepEP counts"},
        {"iteration_time", "s", "one iteration"},
        {"two_batch_gain", "1", "two micro-batches over one"},
        {"half_layer_time", "s", "a micro-batch in a MoE layer"},
        {"core_attention_time", "s", "core attention kernel"},
        {"group_kv_tokens", "tokens", "KV cache of an attention group"},
        {"ttft_mean", "s", "time to first token, mean"},
        {"ttft_p50", "s", "time to first token, median"},
        {"ttft_p90", "s", "time to first token, 90 %"},
        {"ttft_p99", "s", "time to first token, 99 %"},
        {"tpot_mean", "s", "time per output token, mean"},
        {"tpot_p50", "s", "time per output token, median"},
        {"tpot_p90", "s", "time per output token, 90 %"},
        {"tpot_p99", "s", "time per output token, 99 %"},
        {"itl_mean", "s", "between two deliveries, mean"},
        {"itl_p50", "s", "between two deliveries, median"},
        {"itl_p90", "s", "between two deliveries, 90 %"},
        {"itl_p99", "s", "between two deliveries, 99 %"},
        {"e2e_mean", "s", "arrival to last token, mean"},
        {"e2e_p50", "s", "arrival to last token, median"},
        {"e2e_p90", "s", "arrival to last token, 90 %"},
        {"e2e_p99", "s", "arrival to last token, 99 %"},
        {"input_throughput_per_gpu", "tokens/s", "input tokens, a GPU"},
        {"input_throughput_per_node", "tokens/s", "input tokens, a node"},
        {"output_throughput_per_gpu", "tokens/s", "output tokens, a GPU"},
        {"output_throughput_per_node", "tokens/s", "output tokens, a node"},
        {"request_rate", "requests/s", "requests finished"},
        {"goodput", "requests/s", "requests within the objectives"},
        {"good_share", "1", "share within the objectives"},
        {"kv_capacity_tokens", "tokens", "KV cache, all engines"},
        {"kv_use_share", "1", "KV cache in use, mean"},
        {"kv_hit_rate", "1", "prompt tokens found in a cache"},
        {"nodes", "1", "nodes, mean over the run"},
        {"gpus", "1", "GPUs, mean over the run"},
        {"cost_per_hour", "USD", "cost of an hour"},
        {"cost_per_million_input_tokens", "USD", "cost of a million input tokens"},
        {"cost_per_million_computed_tokens", "USD", "cost of a million input tokens not cached"},
        {"cost_per_million_output_tokens", "USD", "cost of a million output tokens"},
    };
    return kinds;
}

const MetricKind* find_metric_kind(std::string_view name) {
    for (const MetricKind& kind : metric_kinds()) {
        if (kind.name == name) return &kind;
    }
    return nullptr;
}

Metric make_metric(std::string_view name, double value, Origin origin) {
    const MetricKind* kind = find_metric_kind(name);
    if (kind == nullptr) throw std::logic_error(fmt::format("no metric is named {}", name));
    return {std::string(name), value, std::string(kind->unit), origin, std::string(kind->title)};
}

double read_figure(const ConfigNode& node, const MetricKind& kind) {
    if (kind.unit == "s") return node.as_quantity<Seconds>().value();
    if (kind.unit == "B/s") return node.as_quantity<BytesPerSecond>().value();
    if (kind.unit == "B") return node.as_quantity<Bytes>().value();
    if (kind.unit == "USD") return node.as_quantity<Dollars>().value();
    if (kind.unit == "h") return hours(node);
    if (kind.unit == "tokens/day" || kind.unit == "tokens/s" || kind.unit == "requests/s" ||
        kind.unit == "tokens") {
        return number_with(node, kind.unit);
    }
    return node.as_quantity<Ratio>().value();
}

std::vector<PublishedFigure> read_published(const ConfigNode& node) {
    std::vector<PublishedFigure> figures;
    for (const ConfigNode& element : node.elements()) {
        figures.push_back(read_one(element));
    }
    return figures;
}

}  // namespace orrery
