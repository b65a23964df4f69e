// orrery collective expert_dispatch|expert_combine: tokens to their experts' ranks, or back.

#include <algorithm>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command_collective.hpp"
#include "core/error.hpp"
#include "core/unit_text.hpp"
#include "report/json_writer.hpp"
#include "study/expert_exchange.hpp"

namespace orrery {
namespace {

struct ExpertOptions {
    ExpertExchange exchange;
    std::string cluster = "h800_ib_2048", mode = "normal";
    std::int64_t tokens = 0, seed = 1;  // tokens 0: the mode's usual number
    std::int32_t node_limit = -1;       // -1: the mode's usual limit
    bool balanced = false;
};

void print_json(const ExpertOptions& o, const ExpertExchangeAnswer& a, std::ostream& out) {
    const ExpertExchange& e = o.exchange;
    const bool normal = e.mode == ExpertMode::normal;
    JsonWriter json;
    json.begin_object();
    json.field("collective", e.dispatch ? "expert_dispatch" : "expert_combine");
    json.field("mode", to_string(e.mode)).field("version", to_string(e.version));
    json.field("cluster", o.cluster).field("ranks", a.traffic.ranks);
    json.field("ranks_per_node", a.traffic.ranks_per_node).field("tokens", a.traffic.tokens);
    json.field("hidden", e.hidden).field("top_k", e.top_k).field("experts", e.experts);
    json.field("node_limit", e.node_limit).field("payload_bytes", a.payload.value());
    json.field("time", a.time.time.value()).field("time_slowest_rank", a.time.slowest.value());
    json.field("bandwidth", a.time.bandwidth.value()).field("limit", a.time.limit);
    json.field("nic_time", a.time.nic.value()).field("nvlink_time", a.time.nvlink.value());
    if (normal) json.field("sm_time", a.time.sm.value()).field("notify_time", a.notify.value());
    json.field("sms", a.time.sms).field("nodes_per_token", a.traffic.mean_nodes());
    json.field("ranks_per_token", a.traffic.mean_ranks());
    const auto rows = a.traffic.rows();
    json.field("most_rows", *std::max_element(rows.begin(), rows.end()));
    json.field("row_imbalance", a.traffic.imbalance());
    json.field("origin", to_string(a.time.origin));
    out << json.end_object().text();
}

void print_text(const ExpertOptions& o, const ExpertExchangeAnswer& a, std::ostream& out) {
    const ExpertExchange& e = o.exchange;
    const bool normal = e.mode == ExpertMode::normal;
    out << fmt::format("{} on {} ranks of {}, {} ({}): {}, {}\n",
                       e.dispatch ? "dispatch" : "combine", a.traffic.ranks, o.cluster,
                       normal ? "normal" : "low latency", to_string(e.version),
                       to_text(a.time.time), to_text(a.time.bandwidth));
    out << fmt::format("  {} tokens a rank of {}, to {:.3f} nodes and {:.3f} ranks each\n",
                       a.traffic.tokens, to_text(a.payload), a.traffic.mean_nodes(),
                       a.traffic.mean_ranks());
    out << fmt::format("  slowest rank {}; alone, NIC {}, NVLink {}", to_text(a.time.slowest),
                       to_text(a.time.nic), to_text(a.time.nvlink));
    if (normal) {
        out << fmt::format(", {} SMs {}\n  before it, exchange of counts {} once all are there\n",
                           a.time.sms, to_text(a.time.sm), to_text(a.notify));
    } else {
        out << "; no SM is held\n";
    }
    out << fmt::format("  limited by {}; most rows on a rank {:.3f} of the mean; {}\n",
                       a.time.limit, a.traffic.imbalance(), to_string(a.time.origin));
}

// --set: keys of the exchange; those of the cluster are returned, "nodes=16".
std::vector<std::string> apply_sets(const std::vector<std::string>& sets,
                                    ExpertExchange& exchange) {
    ConfigNode own = ConfigNode::parse("{}", "--set");
    std::vector<std::string> cluster;
    for (const std::string& text : sets) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw InputError(fmt::format("--set {}: must be key=value", text));
        }
        const std::string key = text.substr(0, equals), value = text.substr(equals + 1);
        if (key.starts_with("cluster.")) {
            cluster.push_back(text.substr(8));
        } else {  // quoted, so that 2025-02 and the like stay text
            own.set(key, key == "version" ? '"' + value + '"' : value, "--set " + key);
        }
    }
    read_exchange(own, exchange);
    return cluster;
}

void answer(ExpertOptions& o, const CommandContext& context) {
    ExpertExchange& e = o.exchange;
    e.mode = parse_expert_mode(o.mode, "--mode");
    const bool normal = e.mode == ExpertMode::normal;
    e.tokens = o.tokens > 0 ? o.tokens : normal ? 4096 : 128;
    e.node_limit = o.node_limit >= 0 ? o.node_limit : normal ? 4 : 0;
    e.routing = o.balanced ? RoutingKind::balanced : RoutingKind::drawn;
    e.affinity.seed = static_cast<std::uint64_t>(o.seed);
    const ClusterProfile cluster = load_cluster(o.cluster, context.profile_dir(),
                                                profile_changes(apply_sets(context.sets, e)));
    const ExpertExchangeAnswer result =
        answer_exchange(e, cluster, [](std::string_view key, std::int64_t value) {
            return fmt::format("--{} {}",
                               key == "ranks"            ? "ep"
                               : key == "ranks_per_node" ? "ranks-per-node"
                                                         : key,
                               value);
        });
    if (context.format == OutputFormat::json) {
        print_json(o, result, context.out);
    } else {
        print_text(o, result, context.out);
    }
}

template <class T>
CLI::Option* number(CLI::App& app, const char* name, T& value, T from, T to, const char* help) {
    return app.add_option(name, value, help)->check(CLI::Range(from, to))->type_name("N");
}

void add_kind(CLI::App& parent, CommandContext& context, const char* name, bool dispatch) {
    constexpr std::int32_t kRanks = 65536, kMany = 1 << 20;
    const auto o = std::make_shared<ExpertOptions>();
    ExpertExchange& e = o->exchange;
    e.dispatch = dispatch;
    CLI::App* app = parent.add_subcommand(
        name, dispatch ? "Tokens to their experts' ranks" : "Expert outputs back to their tokens");
    app->fallthrough();
    app->add_option("--mode", o->mode, "normal (training, prefill) or low_latency (decode)")
        ->capture_default_str();
    number(*app, "--ep,--ranks", e.ranks, 1, kRanks, "Ranks of the expert-parallel group")
        ->required();
    number(*app, "--ranks-per-node", e.ranks_per_node, 1, kRanks, "Default: a full node");
    number(*app, "--tokens", o->tokens, std::int64_t{1}, std::int64_t{1} << 24,
           "Of each rank (default: 4096, low_latency 128)");
    number(*app, "--hidden", e.hidden, std::int64_t{1}, std::int64_t{1} << 20,
           "Features of a token")
        ->capture_default_str();
    number(*app, "--top-k", e.top_k, 1, 65536, "Experts of a token")->capture_default_str();
    number(*app, "--experts", e.experts, 1, 65536, "Experts in all")->capture_default_str();
    number(*app, "--slots", e.slots, 1, kMany, "Expert slots of all ranks, replicas included");
    number(*app, "--node-limit", o->node_limit, 0, kRanks,
           "Nodes a token may reach, 0: any (default: 4, low_latency 0)");
    number(*app, "--sms", e.sms, 1, 1024, "SMs of the normal mode's kernel")->capture_default_str();
    number(*app, "--skew", e.affinity.skew, 0.0, 10.0,
           "Standard deviation of experts' log-odds; 0: uniform routing");
    number(*app, "--sequence-skew", e.affinity.sequence_skew, 0.0, 10.0, "More for each sequence");
    number(*app, "--seed", o->seed, std::int64_t{0}, std::int64_t{1} << 53, "Of the draws");
    app->add_flag("--balanced", o->balanced, "Every expert the same number of tokens");
    app->add_option("--cluster", o->cluster, "Cluster profile")->capture_default_str();
    app->add_option(
           "--set", context.sets,
           "version=2025-02|2025-04|2025-06, sms=N, cluster.nic_bandwidth=\"25 GB/s\", ...")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false)
        ->take_all();
    app->callback([o, &context] { answer(*o, context); });
}

}  // namespace

void add_expert_collectives(CLI::App& collective, CommandContext& context) {
    add_kind(collective, context, "expert_dispatch", true);
    add_kind(collective, context, "expert_combine", false);
}

}  // namespace orrery
