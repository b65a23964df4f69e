// orrery model CONFIG: parameters, FLOPs per token, KV cache and bytes of the weights of a model.

#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "core/unit_text.hpp"
#include "report/json_writer.hpp"
#include "report/text_table.hpp"
#include "study/model_answer.hpp"
#include "study/serve_answer.hpp"

namespace orrery {
namespace {

struct ModelOptions {
    std::string config;
    std::int64_t sequence_length = 4096;
    std::string kv_type = "bf16";
    bool serve = false;
    std::string cluster = "h800_ib_2048";
    std::int64_t context = 131072;
};

void json_layers(JsonWriter& json, const ModelAnswer& answer) {
    json.key("layers").begin_array();
    for (std::size_t i = 0; i < answer.layers.size(); ++i) {
        const LayerAccount& layer = answer.layers[i];
        json.begin_object().field("layer", i).field("kind", layer.kind);
        json.field("parameters", layer.parameters).field("active", layer.active);
        json.field("forward_flops_per_token", layer.forward_flops);
        json.field("kv_bytes_per_token", layer.kv_bytes).end_object();
    }
    json.end_array();
}

void print_json(const ModelAnswer& answer, std::ostream& out) {
    const ParameterCount& p = answer.parameters;
    const FlopsPerToken& f = answer.flops;
    JsonWriter json;
    json.begin_object().field("model", answer.model.name);
    json.field("architecture", answer.model.architecture);
    json.key("parameters").begin_object().field("total", p.total).field("active", p.active);
    json.field("embedding", p.embedding).field("head", p.head).field("attention", p.attention);
    json.field("dense_mlp", p.dense_mlp).field("routed_experts", p.routed_experts);
    json.field("active_routed_experts", p.active_routed_experts);
    json.field("shared_experts", p.shared_experts).field("router", p.router);
    json.field("norms", p.norms).field("mtp_unique", p.mtp_unique);
    json.field("mtp_active", p.mtp_active).end_object();
    json.key("kv_cache").begin_object().field("dtype", answer.kv_type.name);
    json.field("bytes_per_token", answer.kv_bytes_per_token);
    json.field("bytes_per_sequence", answer.kv_bytes_per_sequence).end_object();
    json.key("flops_per_token").begin_object();
    json.field("sequence_length", answer.sequence_length).field("forward", f.forward);
    json.field("training", f.training).field("forward_non_causal", f.forward_non_causal);
    json.field("training_non_causal", f.training_non_causal);
    json.field("mtp_training", f.mtp_training).end_object();
    json.key("weights").begin_object().field("bf16_bytes", answer.weights_bf16.value());
    json.field("published_format", answer.model.weight_format).key("published_bytes");
    if (answer.weights_as_published) {
        json.value(answer.weights_as_published->value());
    } else {
        json.null();
    }
    json.end_object();
    json_layers(json, answer);
    out << json.end_object().text();
}

// 671,026,419,200
std::string digits(std::int64_t count) {
    std::string text = std::to_string(count);
    for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, 1, ',');
    return text;
}

std::string short_count(double count) {
    const double billions = count / 1e9;
    return billions >= 1000 ? fmt::format("{:.3f} T", billions / 1000)
                            : fmt::format("{:.2f} B", billions);
}

std::string gigaflops(double flops) { return fmt::format("{:.2f} GFLOP", flops / 1e9); }

std::string parameter_table(const ModelAnswer& answer, const CommandContext& context) {
    const ParameterCount& p = answer.parameters;
    TextTable table({{"parameters", Align::left},
                     {"all", Align::right},
                     {"used by a token", Align::right},
                     {"share of all", Align::right}});
    const auto row = [&](const char* name, std::int64_t all, std::int64_t used) {
        if (all == 0) return;
        const double share = 100.0 * static_cast<double>(all) / static_cast<double>(p.total);
        table.add_row({name, digits(all), digits(used), fmt::format("{:.2f} %", share)});
    };
    row("embedding", p.embedding, p.embedding);
    row("attention", p.attention, p.attention);
    row("dense MLPs", p.dense_mlp, p.dense_mlp);
    row("routed experts", p.routed_experts, p.active_routed_experts);
    row("shared experts", p.shared_experts, p.shared_experts);
    row("router", p.router, p.router);
    row("norms", p.norms, p.norms);
    row("output head", p.head, p.head);
    table.add_row({"total", digits(p.total), digits(p.active), ""}, Tone::bold);
    if (p.mtp_unique > 0) {
        table.add_row({fmt::format("beside it: {} MTP module{}", answer.model.mtp_modules,
                                   answer.model.mtp_modules > 1 ? "s" : ""),
                       digits(p.mtp_unique), digits(p.mtp_active), ""},
                      Tone::dim);
    }
    return table.render(context.width(), context.use_color());
}

std::string layer_table(const ModelAnswer& answer, const CommandContext& context) {
    TextTable table({{"layers", Align::left, true},
                     {"each", Align::left},
                     {"parameters", Align::right},
                     {"used by a token", Align::right},
                     {"forward per token", Align::right},
                     {"KV per token", Align::right}});
    for (const LayerGroup& group : answer.groups) {
        const LayerAccount& layer = group.account;
        table.add_row({layer_list(group.layers), layer.kind, digits(layer.parameters),
                       digits(layer.active), gigaflops(layer.forward_flops),
                       digits(layer.kv_bytes) + " B"});
    }
    return table.render(context.width(), context.use_color());
}

std::string cost_table(const ModelAnswer& answer, const CommandContext& context) {
    const FlopsPerToken& f = answer.flops;
    TextTable table(
        {{"FLOPs per token", Align::left}, {"forward", Align::right}, {"training", Align::right}});
    table.add_row({fmt::format("causal, {} tokens", digits(answer.sequence_length)),
                   gigaflops(f.forward), gigaflops(f.training)});
    table.add_row(
        {"not causal", gigaflops(f.forward_non_causal), gigaflops(f.training_non_causal)});
    if (f.mtp_training > 0) {
        table.add_row(
            {"MTP beside it, causal", gigaflops(f.mtp_training / 3), gigaflops(f.mtp_training)});
    }
    return table.render(context.width(), context.use_color());
}

void print_text(const ModelAnswer& answer, const CommandContext& context) {
    const ParameterCount& p = answer.parameters;
    std::ostream& out = context.out;
    out << fmt::format("{}: {}, {} layers, {} parameters, {} used by a token\n\n",
                       answer.model.name, answer.model.architecture, answer.layers.size(),
                       short_count(static_cast<double>(p.total)),
                       short_count(static_cast<double>(p.active)));
    out << parameter_table(answer, context) << '\n'
        << layer_table(answer, context) << '\n'
        << cost_table(answer, context) << '\n';
    out << fmt::format("  KV cache in {}: {} B per token, {} for {} tokens\n", answer.kv_type.name,
                       digits(answer.kv_bytes_per_token),
                       to_text(Bytes(static_cast<double>(answer.kv_bytes_per_sequence))),
                       digits(answer.sequence_length));
    out << fmt::format("  weights{}: {} in 16 bits", p.mtp_unique > 0 ? " with MTP" : "",
                       to_text(answer.weights_bf16));
    if (answer.weights_as_published) {
        out << fmt::format(", {} as published in {}", to_text(*answer.weights_as_published),
                           answer.model.weight_format);
    } else {
        out << fmt::format("; published in {}, which is not counted", answer.model.weight_format);
    }
    out << '\n';
}

// orrery model CONFIG --serve: weights by precision, KV cache, fewest nodes.
void print_serve(const ServeAnswer& answer, const CommandContext& context) {
    std::ostream& out = context.out;
    out << fmt::format("{} on {}, {} GPUs a node, sequences of {} tokens\n\n", answer.model,
                       answer.accelerator, answer.gpus_per_node, digits(answer.context));
    TextTable table({{"linear layers in", Align::left},
                     {"weights", Align::right},
                     {"nodes at least", Align::right},
                     {"KV tokens there, BF16", Align::right},
                     {"such sequences", Align::right},
                     {"KV tokens, FP8", Align::right},
                     {"sequences", Align::right}});
    for (const ServeRow& row : answer.rows) {
        const bool fits = row.nodes > 0;
        const auto sequences = [&](std::int64_t tokens) {
            return fits ? digits(tokens / answer.context) : std::string("-");
        };
        table.add_row({row.precision, to_text(row.weights),
                       fits ? digits(row.nodes) : "more than 64",
                       fits ? digits(row.tokens_bf16) : "-", sequences(row.tokens_bf16),
                       fits ? digits(row.tokens_fp8) : "-", sequences(row.tokens_fp8)});
    }
    out << table.render(context.width(), context.use_color()) << '\n';
    const double length = static_cast<double>(answer.context);
    out << fmt::format(
        "  KV cache: {:.0f} B per token in BF16, {} for {} tokens; {:.0f} B in FP8, {}\n",
        answer.kv_bf16, to_text(Bytes(answer.kv_bf16 * length)), digits(answer.context),
        answer.kv_fp8, to_text(Bytes(answer.kv_fp8 * length)));
    out << "  Nodes: room for one sequence; a node is a tensor group, nodes are pipeline stages; 2 "
           "GB "
           "of\n  runtime and the activations of 2,048 tokens on each GPU. MTP is not counted.\n";
}

void print_serve_json(const ServeAnswer& answer, std::ostream& out) {
    JsonWriter json;
    json.begin_object().field("model", answer.model).field("accelerator", answer.accelerator);
    json.field("gpus_per_node", answer.gpus_per_node).field("context", answer.context);
    json.field("kv_bytes_per_token_bf16", answer.kv_bf16);
    json.field("kv_bytes_per_token_fp8", answer.kv_fp8).key("rows").begin_array();
    for (const ServeRow& row : answer.rows) {
        json.begin_object().field("precision", row.precision);
        json.field("weight_bytes", row.weights.value()).field("least_nodes", row.nodes);
        json.field("kv_tokens_bf16", row.tokens_bf16).field("kv_tokens_fp8", row.tokens_fp8);
        json.end_object();
    }
    out << json.end_array().end_object().text();
}

void serve(const ModelOptions& options, CommandContext& context) {
    const ServeAnswer answer = answer_serve(options.config, options.cluster,
                                            context.profile_dir(options.config), options.context);
    if (context.format == OutputFormat::json) {
        print_serve_json(answer, context.out);
    } else {
        print_serve(answer, context);
    }
}

}  // namespace

void add_model_command(CLI::App& app, CommandContext& context) {
    auto options = std::make_shared<ModelOptions>();
    CLI::App* command =
        app.add_subcommand("model", "Parameters, FLOPs, KV cache and bytes of a model");
    command->add_option("config", options->config, "A model's Hugging Face config.json")
        ->type_name("CONFIG")
        ->required();
    command
        ->add_option("--seq-len", options->sequence_length,
                     "Tokens of a sequence, for the FLOPs of attention (default 4096)")
        ->type_name("N");
    command
        ->add_option("--kv-dtype", options->kv_type,
                     "How the KV cache is stored: bf16 (default), fp16, fp8, fp32")
        ->type_name("TYPE");
    command->add_flag("--serve", options->serve,
                      "What serving it takes: weights by precision, KV cache, fewest nodes");
    command
        ->add_option("--cluster", options->cluster,
                     "With --serve: the nodes' profile (default h800_ib_2048)")
        ->type_name("NAME");
    command
        ->add_option("--context", options->context,
                     "With --serve: tokens of a sequence (default 131072)")
        ->type_name("N");
    command->callback([options, &context] {
        if (options->serve) {
            serve(*options, context);
            return;
        }
        const ModelAnswer answer = answer_model(options->config, options->sequence_length,
                                                parse_kv_type(options->kv_type));
        if (context.format == OutputFormat::json) {
            print_json(answer, context.out);
        } else {
            print_text(answer, context);
        }
    });
}

}  // namespace orrery
