#include "study/training_settings.hpp"

#include <fmt/format.h>

#include "core/unit_text.hpp"

namespace orrery {
namespace {

// "50.0000000000 GB/s" -> "50 GB/s".
std::string without_zeros(const std::string& quantity) {
    const std::size_t end = quantity.find(' ');
    if (quantity.find('.') > end) return quantity;
    std::size_t keep = quantity.find_last_not_of('0', end - 1);
    if (quantity[keep] == '.') --keep;
    return quantity.substr(0, keep + 1) + quantity.substr(end);
}

// Sets members of a JSON document one by one.
class Settings {
  public:
    void text(const std::string& path, std::string_view value) {
        std::string escaped;
        for (const char c : value) {
            if (c == '"' || c == '\\') escaped += '\\';
            escaped += c == '\n' ? ' ' : c;
        }
        root_.set(path, fmt::format("\"{}\"", escaped));
    }
    void json(const std::string& path, const std::string& value) { root_.set(path, value); }
    void integer(const std::string& path, std::int64_t value) {
        root_.set(path, std::to_string(value));
    }
    void number(const std::string& path, double value) {
        root_.set(path, fmt::format("{}", value));
    }
    template <class Q>
    void quantity(const std::string& path, const Sourced<Q>& value) {
        text(path + ".value",
             without_zeros(format_quantity(value.value.value(), unit_of<Q>(), 12)));
        provenance(path, value.from);
    }
    // A stated input: what the reader took, with its origin and source where it was stated.
    void stated(const std::string& path, const ConfigNode& block, const char* key,
                const std::string& value) {
        const auto node = block.find(key);
        const bool sourced = node && node->is_object();  // a plain number is given by whoever runs
        json(sourced ? path + ".value" : path, value);
        if (sourced) provenance(path, node->provenance());
    }
    void provenance(const std::string& path, const Provenance& from) {
        text(path + ".origin", to_string(from.origin));
        text(path + ".source", from.source);
    }
    std::string dump() const { return root_.dump(); }

  private:
    ConfigNode root_ = ConfigNode::parse("{}", "used settings");
};

// "0-3,60".
std::string ranges(const std::vector<std::int32_t>& layers) {
    std::string text;
    for (std::size_t i = 0; i < layers.size();) {
        std::size_t last = i;
        while (last + 1 < layers.size() && layers[last + 1] == layers[last] + 1) ++last;
        text += fmt::format("{}{}", text.empty() ? "" : ",", layers[i]);
        if (last > i) text += fmt::format("-{}", layers[last]);
        i = last + 1;
    }
    return text;
}

std::string stages_json(const std::vector<StageLayout>& stages) {
    std::string text;
    for (const StageLayout& stage : stages) {
        text +=
            fmt::format("{}{{\"layers\": \"{}\"", text.empty() ? "" : ", ", ranges(stage.layers));
        if (stage.embedding) text += ", \"embedding\": true";
        if (stage.mtp_modules > 0) text += fmt::format(", \"mtp\": {}", stage.mtp_modules);
        text += stage.head ? ", \"head\": true}" : "}";
    }
    return "[" + text + "]";
}

std::vector<std::string_view> recompute_names(const Recompute& recompute) {
    std::vector<std::string_view> names;
    if (recompute.norm) names.emplace_back("norm");
    if (recompute.mla_up_projection) names.emplace_back("mla_up_projection");
    if (recompute.swiglu) names.emplace_back("swiglu");
    if (recompute.full) names.emplace_back("full");
    return names;
}

std::string recompute_json(const Recompute& recompute) {
    std::string text;
    for (const std::string_view name : recompute_names(recompute)) {
        text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", name);
    }
    return "[" + text + "]";
}

void add_plan(Settings& used, const ParallelPlan& plan) {
    used.integer("plan.tp", plan.tp);
    used.integer("plan.pp", plan.pp);
    used.integer("plan.dp", plan.dp);
    used.integer("plan.ep", plan.ep);
    used.integer("plan.cp", plan.cp);
    used.integer("plan.micro_batch_size", plan.micro_batch_size);
    used.text("plan.schedule", plan.schedule);
    used.integer("plan.virtual_stages", plan.virtual_stages);
    used.text("plan.precision", to_string(plan.precision));
    used.integer("plan.zero_stage", plan.zero_stage);
    used.json("plan.recompute", recompute_json(plan.recompute));
    used.json("plan.stages", stages_json(plan.stages));
    if (plan.framework_memory.value.value() > 0) {
        used.quantity("plan.framework_memory", plan.framework_memory);
    }
}

void add_cluster(Settings& used, const Scenario& scenario, const TrainingSpec& spec) {
    const ClusterProfile& cluster = spec.cluster;
    used.text("cluster.profile", scenario.document.at("cluster").at("profile").as_string());
    used.text("cluster.accelerator", cluster.accelerator);
    if (!spec.kernels.empty()) used.text("cluster.kernels", spec.kernels);
    used.integer("cluster.nodes", static_cast<std::int64_t>(cluster.nodes.value.value()));
    used.integer("cluster.gpus_per_node",
                 static_cast<std::int64_t>(cluster.gpus_per_node.value.value()));
    used.quantity("cluster.nic_bandwidth", cluster.nic_bandwidth);
    used.quantity("cluster.nvlink_bandwidth", cluster.nvlink_bandwidth);
    used.quantity("cluster.price_per_gpu_hour", cluster.price_per_gpu_hour);
    if (const auto fail = scenario.document.at("cluster").find("fail")) {
        used.json("cluster.fail", fail->dump(-1));
    }
    std::string slow;
    for (const SlowRank& rank : spec.slow_ranks) {
        slow += fmt::format("{}{{\"rank\": {}, \"factor\": {}}}", slow.empty() ? "" : ", ",
                            rank.rank, rank.factor);
    }
    used.json("cluster.slow_ranks", "[" + slow + "]");
}

void add_routing(Settings& used, const Scenario& scenario, const RoutingChoice& routing) {
    if (routing.kind == RoutingKind::balanced) {
        used.text("routing.kind", "balanced");
        return;
    }
    const ConfigNode block = scenario.document.at("routing");
    used.stated("routing.kind", block, "kind", "\"drawn\"");
    if (routing.loads.empty()) {
        used.stated("routing.skew", block, "skew", fmt::format("{}", routing.affinity.skew));
    } else {
        used.text("routing.loads", routing.loads_file);
    }
    used.stated("routing.sequence_skew", block, "sequence_skew",
                fmt::format("{}", routing.affinity.sequence_skew));
    used.integer("routing.seed", static_cast<std::int64_t>(routing.affinity.seed));
    used.integer("routing.draws", routing.draws);
}

void add_network(Settings& used, const Scenario& scenario, const NetworkChoice& network) {
    if (network.counted_tokens) {
        used.stated("network.expert_all_to_all", scenario.document.at("network"),
                    "expert_all_to_all", "\"counted_tokens\"");
        if (network.expert_version == NetworkChoice{}.expert_version) {
            used.text("network.expert_version", to_string(network.expert_version));
        } else {
            used.stated("network.expert_version", scenario.document.at("network"), "expert_version",
                        fmt::format("\"{}\"", to_string(network.expert_version)));
        }
        used.json("network.notify", network.notify ? "true" : "false");
    } else {
        used.text("network.expert_all_to_all", "published_rates");
    }
    if (network.pipeline_sends == PipelineSends::overlapped) {
        used.text("network.pipeline_sends", "overlapped");
    } else {
        used.stated("network.pipeline_sends", scenario.document.at("network"), "pipeline_sends",
                    fmt::format("\"{}\"", to_string(network.pipeline_sends)));
    }
    if (network.shared_links) {
        used.stated("network.links", scenario.document.at("network"), "links", "\"shared\"");
    } else {
        used.text("network.links", "own");
    }
}

}  // namespace

std::string recompute_text(const Recompute& recompute) {
    std::string text;
    for (const std::string_view name : recompute_names(recompute)) {
        text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
    }
    return text.empty() ? "none" : text;
}

std::string stage_text(const StageLayout& stage) {
    std::string text;
    const auto add = [&](const std::string& part) {
        text += fmt::format("{}{}", text.empty() ? "" : ", ", part);
    };
    if (stage.embedding) add("embedding");
    if (!stage.layers.empty()) {
        add(fmt::format("layer{} {}", stage.layers.size() > 1 ? "s" : "", ranges(stage.layers)));
    }
    if (stage.mtp_modules > 0) add(fmt::format("MTP x {}", stage.mtp_modules));
    if (stage.head) add("head");
    return text.empty() ? "nothing" : text;
}

std::string used_settings(const Scenario& scenario, const TrainingSpec& spec) {
    Settings used;
    used.text("name", scenario.name);
    used.text("kind", scenario.kind);
    used.text("model", scenario.document.at("model").as_string());
    add_cluster(used, scenario, spec);
    add_plan(used, spec.plan);
    used.integer("train.sequences", spec.sequences);
    used.integer("train.sequence_length", spec.sequence_length);
    used.number("train.tokens", spec.tokens);
    const ConfigNode train = scenario.document.at("train");
    used.stated("train.clock", train, "clock",
                spec.clock == Clock::burst ? "\"burst\"" : "\"sustained\"");
    used.stated("train.jitter", train, "jitter",
                fmt::format("{}", spec.paces == GpuPaces::drawn ? 0 : spec.jitter));
    used.text("train.gpu_pace", spec.paces == GpuPaces::alike     ? "alike"
                                : spec.paces == GpuPaces::slowest ? "slowest"
                                                                  : "drawn");
    used.stated("train.routed_rows_factor", train, "routed_rows_factor",
                fmt::format("{}", spec.routed_rows_factor));
    used.stated("train.communication_sms", train, "communication_sms",
                std::to_string(spec.communication_sms));
    used.integer("train.seed", static_cast<std::int64_t>(spec.seed));
    add_routing(used, scenario, spec.routing);
    add_network(used, scenario, spec.network);
    used.text("run.fold", spec.fold ? "auto" : "none");
    return used.dump();
}

}  // namespace orrery
