// orrery routing: where the tokens of a MoE layer go, what balances them, what moving experts
// costs.

#include <algorithm>
#include <memory>
#include <numeric>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "core/error.hpp"
#include "core/unit_text.hpp"
#include "report/format.hpp"
#include "report/json_writer.hpp"
#include "report/text_table.hpp"
#include "study/routing_answer.hpp"

namespace orrery {
namespace {

struct RoutingOptions {
    RoutingQuestion question;
    std::string model, loads, group_score = "two_largest";
    std::int32_t experts = 256, top_k = 8, groups = 8, top_k_groups = 4;
    std::int32_t ranks = 64, ranks_per_node = 8, replicas = 0;
    std::int64_t tokens = 4096, seed = 1;
    bool balanced = false, matrices = false, gate_given = false;
};

template <class T>
void json_list(JsonWriter& json, std::string_view key, const std::vector<T>& values) {
    json.key(key).begin_array(true);
    for (const T& value : values) json.value(value);
    json.end_array();
}

void json_matrix(JsonWriter& json, std::string_view key, const std::vector<std::int32_t>& values,
                 std::int32_t columns) {
    json.key(key).begin_array();
    for (std::size_t i = 0; i < values.size(); i += static_cast<std::size_t>(columns)) {
        json.begin_array(true);
        for (std::int32_t c = 0; c < columns; ++c)
            json.value(values[i + static_cast<std::size_t>(c)]);
        json.end_array();
    }
    json.end_array();
}

void json_imbalance(JsonWriter& json, std::string_view key, const Imbalance& imbalance) {
    json.key(key).begin_object().field("experts", imbalance.experts);
    json.field("gpus", imbalance.gpus).field("nodes", imbalance.nodes).end_object();
}

void json_eplb(JsonWriter& json, const EplbResult& eplb) {
    json.key("eplb").begin_object();
    json.field("policy", eplb.hierarchical ? "hierarchical" : "global");
    json.field("slots", eplb.placement.slots());
    json.field("gpu_imbalance_before", eplb.before).field("gpu_imbalance_after", eplb.after);
    json.field("next_micro_batch_before", eplb.next_unplaced);
    json_imbalance(json, "next_micro_batch_after", eplb.next);
    json_list(json, "slot_expert", eplb.placement.slot_expert);
    json.key("rebalancing").begin_object().field("experts_moved", eplb.cost.moved);
    json.field("experts_over_nic", eplb.cost.over_nic).field("expert_bytes", eplb.expert.value());
    json.field("bytes", eplb.expert.value() * static_cast<double>(eplb.cost.moved));
    json.field("most_over_one_nic", eplb.cost.most_nic);
    json.field("most_over_one_nvlink", eplb.cost.most_nvlink);
    json.field("time", eplb.time.value()).field("origin", to_string(eplb.origin));
    json.end_object().end_object();
}

void print_json(const RoutingAnswer& answer, const RoutingOptions& o, std::ostream& out) {
    const ExpertTraffic& t = answer.traffic;
    const GateSpec& gate = answer.spec.gate;
    JsonWriter json;
    json.begin_object().field("affinities", answer.affinities);
    json.field("origin", to_string(answer.origin));
    json.key("gate").begin_object().field("experts", gate.experts).field("top_k", gate.top_k);
    json.field("groups", gate.groups).field("top_k_groups", gate.top_k_groups);
    json.field("group_score", gate.group_score == GroupScore::largest ? "largest" : "two_largest");
    json.end_object();
    json.field("ranks", t.ranks).field("ranks_per_node", t.ranks_per_node);
    json.field("tokens", t.tokens).field("nodes_per_token", t.mean_nodes());
    json.key("nodes_per_token_expected");
    if (answer.expected_nodes) {
        json.value(*answer.expected_nodes);
    } else {
        json.null();
    }
    json.field("ranks_per_token", t.mean_ranks());
    json_imbalance(json, "imbalance", answer.imbalance);
    json_list(json, "expert_tokens", answer.expert_loads);
    json_list(json, "gpu_rows", t.rows());
    json_list(json, "gpu_tokens", t.received());
    if (o.matrices) {
        json_matrix(json, "gpu_pairs", t.rank_pairs, t.ranks);
        json_matrix(json, "gpu_selections", t.selections, t.ranks);
        json_matrix(json, "node_pairs", t.node_pairs, t.nodes());
    }
    if (!answer.bias_imbalance.empty()) {
        json.key("bias").begin_object().field("gamma", o.question.gamma);
        json_list(json, "expert_imbalance", answer.bias_imbalance);
        json_list(json, "values", answer.spec.bias);
        json.end_object();
    }
    if (answer.eplb) json_eplb(json, *answer.eplb);
    out << json.end_object().text();
}

void add_row(TextTable& table, const char* name, const std::vector<double>& values) {
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    const double mean =
        std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    const auto count = [](double v) { return grouped(static_cast<std::int64_t>(v + 0.5)); };
    table.add_row({name, std::to_string(values.size()), count(*least), count(mean), count(*most),
                   fmt::format("{:.3f}", largest_over_mean(values))});
}

std::string eplb_text(const EplbResult& e, std::int32_t ranks) {
    std::string text = fmt::format(
        "\n  EPLB, {}, {} slots a GPU. Largest over mean GPU load: {:.3f} -> {:.3f} for the\n"
        "  loads it is given, {:.3f} -> {:.3f} for the next micro-batch.\n",
        e.hierarchical ? "hierarchical" : "global", e.placement.slots_per_rank(), e.before, e.after,
        e.next_unplaced, e.next.gpus);
    text += fmt::format(
        "  Rebalancing moves {} experts of {} onto {} GPUs, {} of them between nodes; the busiest "
        "NIC\n  carries {}, the busiest NVLink {}: {} ({}).\n",
        e.cost.moved, to_text(e.expert), ranks, e.cost.over_nic, e.cost.most_nic,
        e.cost.most_nvlink, to_text(e.time), to_string(e.origin));
    return text;
}

void print_text(const RoutingAnswer& answer, const RoutingOptions& o,
                const CommandContext& context) {
    const ExpertTraffic& t = answer.traffic;
    const GateSpec& gate = answer.spec.gate;
    context.out << fmt::format("top {} of {} experts", gate.top_k, gate.experts);
    if (gate.top_k_groups < gate.groups) {
        context.out << fmt::format(" in {} of {} groups", gate.top_k_groups, gate.groups);
    }
    context.out << fmt::format(" on {} GPUs, {} a node, {} tokens each\n{} ({})\n\n", t.ranks,
                               t.ranks_per_node, grouped(t.tokens), answer.affinities,
                               to_string(answer.origin));
    TextTable table({{"tokens received", Align::left},
                     {"", Align::right},
                     {"least", Align::right},
                     {"mean", Align::right},
                     {"most", Align::right},
                     {"most / mean", Align::right}});
    const auto rows = t.rows(), received = t.received();
    add_row(table, "by experts", answer.expert_loads);
    add_row(table, "by GPUs, once for each expert", {rows.begin(), rows.end()});
    add_row(table, "by GPUs, once a token", {received.begin(), received.end()});
    context.out << table.render(context.width(), context.use_color());
    context.out << fmt::format("\n  A token reaches {:.4f} nodes", t.mean_nodes());
    if (answer.expected_nodes) {
        context.out << fmt::format(" (expected {:.4f})", *answer.expected_nodes);
    }
    context.out << fmt::format(" and {:.4f} GPUs.\n", t.mean_ranks());
    if (!answer.bias_imbalance.empty()) {
        context.out << fmt::format(
            "  Before that, {} bias updates of {:g}: largest over mean expert load {:.3f} in the "
            "first "
            "step,\n  {:.3f} in the last.\n",
            answer.bias_imbalance.size(), o.question.gamma, answer.bias_imbalance.front(),
            answer.bias_imbalance.back());
    }
    if (answer.eplb) context.out << eplb_text(*answer.eplb, t.ranks);
}

void answer(RoutingOptions& o, const CommandContext& context) {
    RoutingQuestion& q = o.question;
    if (!o.model.empty()) {
        if (o.gate_given) {
            throw InputError(
                "--model: says what the gate is: no --experts, --top-k, --groups, --top-groups or "
                "--group-score beside it");
        }
        q.model = o.model;
    }
    if (!o.loads.empty()) q.loads = o.loads;
    q.spec.kind = o.balanced ? RoutingKind::balanced : RoutingKind::drawn;
    if (o.balanced && (q.spec.affinity.skew != 0 || q.spec.affinity.sequence_skew != 0)) {
        throw InputError("--balanced: no --skew or --sequence-skew beside it");
    }
    q.spec.affinity.seed = static_cast<std::uint64_t>(o.seed);
    q.spec.gate = {o.experts, o.top_k, o.groups, o.top_k_groups,
                   o.group_score == "largest" ? GroupScore::largest : GroupScore::two_largest};
    q.group = {o.ranks, std::min(o.ranks, o.ranks_per_node), o.tokens, {}};
    q.replicas = o.replicas;
    const RoutingAnswer result = answer_routing(q, context.profile_dir());
    if (context.format == OutputFormat::json) {
        print_json(result, o, context.out);
    } else {
        print_text(result, o, context);
    }
}

template <class T>
CLI::Option* number(CLI::App& app, const char* name, T& value, T from, T to, const char* help) {
    return app.add_option(name, value, help)
        ->check(CLI::Range(from, to))
        ->type_name("N")
        ->capture_default_str();
}

void add_gate(CLI::App& app, RoutingOptions& o) {
    constexpr std::int32_t kMost = 65536;
    app.add_option("--model", o.model, "A model's config.json: its gate and its experts' size")
        ->type_name("CONFIG");
    const auto given = [&o](const std::string&) {
        o.gate_given = true;
        return std::string();
    };
    number(app, "--experts", o.experts, 1, kMost, "Routed experts")->check(given);
    number(app, "--top-k", o.top_k, 1, kMost, "Experts of a token")->check(given);
    number(app, "--groups", o.groups, 1, kMost, "Expert groups")->check(given);
    number(app, "--top-groups", o.top_k_groups, 1, kMost, "Groups a token may reach")->check(given);
    app.add_option("--group-score", o.group_score,
                   "How groups compare: two_largest (DeepSeek-V3) or largest (DeepSeek-V2)")
        ->check(CLI::IsMember({"two_largest", "largest"}))
        ->check(given)
        ->capture_default_str();
}

void add_affinities(CLI::App& app, RoutingOptions& o) {
    constexpr std::int64_t kMany = 1'000'000;
    RoutingQuestion& q = o.question;
    number(app, "--skew", q.spec.affinity.skew, 0.0, 10.0,
           "Standard deviation of experts' log-odds; 0: uniform routing");
    number(app, "--sequence-skew", q.spec.affinity.sequence_skew, 0.0, 10.0,
           "The same, drawn anew for each sequence (a rank's tokens of a micro-batch)");
    number(app, "--seed", o.seed, std::int64_t{0}, std::int64_t{1} << 53, "Of all draws");
    number(app, "--layer", q.layer, std::int64_t{0}, kMany, "Which layer's draw");
    number(app, "--micro-batch", q.micro_batch, std::int64_t{0}, kMany, "Which micro-batch's draw");
    app.add_flag("--balanced", o.balanced, "Every expert the same number of tokens");
    app.add_option("--loads", o.loads, "Expert loads, CSV or JSON, a row a layer")
        ->type_name("FILE");
    number(app, "--load-layer", q.load_layer, std::int64_t{0}, kMany, "Row of that file");
    number(app, "--bias-steps", q.bias_steps, std::int64_t{0}, std::int64_t{100'000},
           "Updates of the correction bias before the draw");
    number(app, "--bias-sequences", q.bias_sequences, std::int64_t{1}, kMany,
           "Sequences that an update counts");
    number(app, "--gamma", q.gamma, 0.0, 1.0, "Size of an update");
}

}  // namespace

void add_routing_command(CLI::App& app, CommandContext& context) {
    const auto o = std::make_shared<RoutingOptions>();
    CLI::App* command =
        app.add_subcommand("routing", "Where the tokens of a MoE layer go, and what balances them");
    number(*command, "--ep,--ranks", o->ranks, 1, 65536, "GPUs of the expert-parallel group");
    number(*command, "--ranks-per-node", o->ranks_per_node, 1, 65536, "Of them on one node");
    number(*command, "--tokens", o->tokens, std::int64_t{1}, std::int64_t{1} << 24, "Of each GPU");
    add_gate(*command, *o);
    add_affinities(*command, *o);
    number(*command, "--eplb", o->replicas, 1, 1 << 20,
           "Balance with EPLB on so many expert slots in all")
        ->default_str("");
    command->add_option("--cluster", o->question.cluster, "Links that rebalancing uses")
        ->capture_default_str();
    command->add_flag("--matrices", o->matrices, "With --format json: pair matrices too");
    command->callback([o, &context] { answer(*o, context); });
}

}  // namespace orrery
