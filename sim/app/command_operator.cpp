// orrery operator: how long one operator takes alone, and from which data. One subcommand a kind.

#include <cmath>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "app/operator_check.hpp"
#include "core/error.hpp"
#include "core/unit_text.hpp"
#include "report/json_writer.hpp"
#include "study/operator_answer.hpp"

namespace orrery {
namespace {

struct OperatorOptions {
    std::string profile = "h800_sxm5", cluster = "h800_ib_2048";
    std::string precision = "bf16", layout = "contiguous", pass = "forward", kind, clock = "burst";
    std::string bytes, read, written;
    std::int64_t m = 0, n = 0, k = 0, groups = 0, rows = 0, columns = 0, launches = 1, sms = 0;
    std::int64_t sequences = 1, length = 0, keys = 0, heads = 0, key_heads = 0, dim = 0,
                 value_dim = 0, window = 0;
    std::int64_t ranks = 0, ranks_per_node = 0, tokens = 4096, hidden = 7168, top_k = 8,
                 experts = 256, node_limit = 4;
    bool accumulate = false, full_mask = false, fit = false;
    std::string held_out;  // file
};

constexpr std::int64_t kMost = 1'000'000'000'000;

CLI::Option* count(CLI::App& app, const char* name, std::int64_t& value, const char* help) {
    return app.add_option(name, value, help)->check(CLI::Range(std::int64_t{1}, kMost));
}

Bytes bytes_of(const char* option, const std::string& text) {
    try {
        return parse_quantity<Bytes>(text);
    } catch (const std::invalid_argument& rule) {
        throw InputError(fmt::format("{} {}: {}", option, text, rule.what()));
    }
}

void print(const OperatorAnswer& answer, const CommandContext& context) {
    const double time = answer.time.value();
    if (context.format == OutputFormat::json) {
        JsonWriter json;
        json.begin_object().field("operator", answer.kind).field("profile", answer.profile);
        json.field("time", time).field("origin", to_string(answer.origin));
        json.field("spread", answer.spread).field("rule", answer.rule);
        json.field("flops", answer.flops.value()).field("bytes", answer.bytes.value());
        context.out << json.end_object().text();
        return;
    }
    context.out << fmt::format("{} on {}: {}", answer.kind, answer.profile, to_text(answer.time));
    if (answer.spread > 0) context.out << fmt::format(" +- {:.1f} %", 100 * answer.spread);
    if (answer.flops.value() > 0 && time > 0) {
        context.out << fmt::format(", {}", to_text(answer.flops / answer.time));
    }
    if (time > 0)
        context.out << fmt::format(", {} of memory traffic", to_text(answer.bytes / answer.time));
    context.out << fmt::format("\n{}: {}\n", to_string(answer.origin), answer.rule);
}

using Options = std::shared_ptr<OperatorOptions>;

void price(const Options& o, const CommandContext& context, const Operator& op) {
    const Clock clock = o->clock == "sustained" ? Clock::sustained : Clock::burst;
    print(answer_operator(op, {o->sms, clock}, o->profile, context.profile_dir()), context);
}

CLI::App* add_kind(CLI::App& parent, const Options& o, const char* name, const char* help) {
    CLI::App* app = parent.add_subcommand(name, help);
    app->fallthrough();
    app->add_option("--profile", o->profile, "Accelerator profile")->capture_default_str();
    return app;
}

void add_conditions(CLI::App& app, const Options& o) {
    count(app, "--sm,--sms", o->sms, "SMs it may use (default: all)");
    app.add_option("--clock", o->clock, "burst (default) or sustained")
        ->check(CLI::IsMember({"burst", "sustained"}));
}

void add_gemms(CLI::App& parent, const Options& o, CommandContext& context) {
    CLI::App* gemm = add_kind(parent, o, "gemm", "Y[m,n] = X[m,k] W[n,k]^T");
    gemm->add_option("--precision", o->precision, "bf16, fp8_tensor or fp8_block")->required();
    count(*gemm, "--m", o->m, "Rows")->required();
    count(*gemm, "--n", o->n, "Output features")->required();
    count(*gemm, "--k", o->k, "Input features")->required();
    gemm->add_flag("--accumulate", o->accumulate, "Weight gradient: adds into FP32");
    add_conditions(*gemm, o);
    gemm->callback([o, &context] {
        price(o, context,
              {"gemm", Gemm{o->m, o->n, o->k, precision_of(o->precision), o->accumulate}});
    });

    CLI::App* grouped =
        add_kind(parent, o, "grouped_gemm", "GEMMs of several experts in one kernel");
    grouped->add_option("--precision", o->precision, "bf16, fp8_tensor or fp8_block")->required();
    grouped->add_option("--layout", o->layout, "contiguous, masked or k_grouped")
        ->capture_default_str();
    count(*grouped, "--groups", o->groups, "Experts")->required();
    count(*grouped, "--rows", o->rows, "Tokens of all experts together")->required();
    count(*grouped, "--n", o->n, "Output features")->required();
    count(*grouped, "--k", o->k, "Input features")->required();
    add_conditions(*grouped, o);
    grouped->callback([o, &context] {
        price(o, context,
              {"grouped_gemm", GroupedGemm{o->groups, o->rows, o->n, o->k,
                                           precision_of(o->precision), layout_of(o->layout)}});
    });
}

void add_attention(CLI::App& parent, const Options& o, CommandContext& context) {
    CLI::App* app = add_kind(parent, o, "attention", "Core attention in BF16");
    app->add_option("--pass", o->pass, "forward, backward or decode")->capture_default_str();
    count(*app, "--sequences", o->sequences, "Sequences")->capture_default_str();
    count(*app, "--length", o->length, "Query tokens of a sequence")->required();
    count(*app, "--keys", o->keys, "Key tokens of a sequence (default: as queries)");
    count(*app, "--heads", o->heads, "Query heads")->required();
    count(*app, "--key-heads", o->key_heads, "Key heads (default: as query heads)");
    count(*app, "--dim", o->dim, "Query and key features a head")->required();
    count(*app, "--value-dim", o->value_dim, "Value features a head (default: as --dim)");
    count(*app, "--window", o->window, "Keys a query may see");
    app->add_flag("--no-causal", o->full_mask, "Every query sees every key");
    add_conditions(*app, o);
    app->callback([o, &context] {
        Attention a;
        a.pass = attention_pass_of(o->pass);
        a.sequences = o->sequences;
        a.query_length = o->length;
        a.key_length = o->keys > 0 ? o->keys : o->length;
        a.query_heads = o->heads;
        a.key_heads = o->key_heads > 0 ? o->key_heads : o->heads;
        if (a.query_heads % a.key_heads != 0) {
            throw InputError(
                fmt::format("--key-heads {}: must divide --heads {}", a.key_heads, a.query_heads));
        }
        a.query_key_dim = o->dim;
        a.value_dim = o->value_dim > 0 ? o->value_dim : o->dim;
        a.causal = !o->full_mask;
        a.window = o->window;
        if (a.causal && a.key_length < a.query_length) {
            throw InputError(
                fmt::format("--keys {}: must be at least --length {} under a causal mask",
                            a.key_length, a.query_length));
        }
        price(o, context, {"attention", a});
    });
}

void add_memory(CLI::App& parent, const Options& o, CommandContext& context) {
    CLI::App* app = add_kind(parent, o, "memory", "A kernel bound by memory traffic");
    app->add_option("--kind", o->kind, "rms_norm, swiglu, cast_fp8, ...")->required();
    count(*app, "--rows", o->rows, "Tokens or expert rows")->required();
    count(*app, "--columns", o->columns, "Features")->required();
    app->add_option("--read", o->read, "Bytes read, as \"58.7 MB\" (default: BF16 rows x columns)");
    app->add_option("--written", o->written, "Bytes written (default: as much)");
    count(*app, "--launches", o->launches, "Kernels it stands for")->capture_default_str();
    add_conditions(*app, o);
    app->callback([o, &context] {
        MemoryOp op{memory_kind_of(o->kind), o->rows, o->columns, {}, {}, o->launches};
        const Bytes plain(2.0 * static_cast<double>(o->rows) * static_cast<double>(o->columns));
        op.read = o->read.empty() ? plain : bytes_of("--read", o->read);
        op.written = o->written.empty() ? plain : bytes_of("--written", o->written);
        price(o, context, {"memory", op});
    });
}

CLI::App* add_communication(CLI::App& parent, const Options& o, const char* kind,
                            const char* help) {
    CLI::App* app = parent.add_subcommand(kind, help);
    app->fallthrough();
    app->add_option("--cluster", o->cluster, "Cluster profile")->capture_default_str();
    count(*app, "--ranks", o->ranks, "Ranks of the group")->required();
    count(*app, "--ranks-per-node", o->ranks_per_node,
          "Of them on one node (default: a full node)");
    return app;
}

void add_communications(CLI::App& parent, const Options& o, CommandContext& context) {
    for (const char* kind :
         {"all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast", "send_recv"}) {
        CLI::App* app = add_communication(parent, o, kind, "Uncontended, on a cluster's links");
        app->add_option("--bytes", o->bytes,
                        "Whole buffer, as \"1 GB\"; all_to_all: what one rank sends")
            ->required();
        app->callback([o, kind, &context] {
            const Communication op{communication_kind_of(kind), Group::none, o->ranks,
                                   bytes_of("--bytes", o->bytes)};
            print(answer_communication(op, {o->ranks, o->ranks_per_node}, o->cluster,
                                       context.profile_dir()),
                  context);
        });
    }
    for (const char* kind : {"expert_dispatch", "expert_combine"}) {
        CLI::App* app =
            add_communication(parent, o, kind, "Tokens to their experts' ranks, or back");
        count(*app, "--tokens", o->tokens, "Tokens of one rank")->capture_default_str();
        count(*app, "--hidden", o->hidden, "Features of a token")->capture_default_str();
        count(*app, "--top-k", o->top_k, "Experts of a token")->capture_default_str();
        count(*app, "--experts", o->experts, "Experts in all")->capture_default_str();
        app->add_option("--node-limit", o->node_limit, "Nodes a token may reach, 0: any")
            ->check(CLI::Range(0, 1'000'000))
            ->capture_default_str();
        app->add_option("--bytes", o->bytes,
                        "Payload of a token (default: FP8 with 1x128 scales out, BF16 back)");
        app->callback([o, kind, &context] {
            const auto hidden = static_cast<double>(o->hidden);
            const bool out = std::string_view(kind) == "expert_dispatch";
            const Bytes payload = !o->bytes.empty() ? bytes_of("--bytes", o->bytes)
                                  : out             ? Bytes(hidden + 4 * std::ceil(hidden / 128))
                                                    : Bytes(2 * hidden);
            const Communication op{communication_kind_of(kind),
                                   Group::expert,
                                   o->ranks,
                                   payload,
                                   o->tokens,
                                   o->top_k,
                                   o->experts,
                                   o->node_limit};
            print(answer_communication(op, {o->ranks, o->ranks_per_node}, o->cluster,
                                       context.profile_dir()),
                  context);
        });
    }
}

}  // namespace

void add_operator_command(CLI::App& app, CommandContext& context) {
    CLI::App* command =
        app.add_subcommand("operator", "How long one operator takes alone, and from which data");
    command->require_subcommand(1);
    const Options o = std::make_shared<OperatorOptions>();
    add_gemms(*command, o, context);
    add_attention(*command, o, context);
    add_memory(*command, o, context);
    add_communications(*command, o, context);
    CLI::App* check = add_kind(*command, o, "check", "How well each table predicts its own points");
    check->add_flag("--fit", o->fit, "Fit the tile model's constants (table gemm_model) anew");
    check->add_option("--held-out", o->held_out,
                      "Prices beside the measurements in this file (orrery-calibrate --held-out)");
    check->callback([o, &context] {
        if (!o->held_out.empty()) return print_held_out(o->profile, o->held_out, context);
        print_table_check(o->profile, o->fit, context);
    });
}

}  // namespace orrery
