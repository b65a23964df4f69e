// orrery collective all_to_all|all_gather|...: a collective expanded to flows on a cluster's
// network.

#include <map>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "app/command_collective.hpp"
#include "core/error.hpp"
#include "core/plural.hpp"
#include "core/unit_text.hpp"
#include "report/json_writer.hpp"
#include "study/collective_answer.hpp"

namespace orrery {
namespace {

struct FlowOptions {
    std::string cluster, bytes;
    std::vector<std::string> sets;
    Routing routing = Routing::fixed;
    FlowCollectiveRequest request;
};
using Options = std::shared_ptr<FlowOptions>;

// "ring LL128": what NCCL calls the pair.
std::string name_of(FlowAlgorithm algorithm, FlowProtocol protocol) {
    std::string name(to_string(algorithm));
    if (protocol != FlowProtocol::none) name += fmt::format(" {}", to_string(protocol));
    return name;
}

void write_json(const char* kind, const CollectiveAnswer& answer, const CommandContext& context) {
    const FlowCollectiveResult& result = answer.result;
    JsonWriter json;
    json.begin_object().field("collective", kind).field("cluster", answer.cluster);
    json.field("time", to_seconds(result.time).value()).field("flows", result.counts.flows);
    json.field("solves", result.counts.solves).field("remembered", result.counts.remembered);
    json.field("bandwidth", result.bandwidth.value());
    json.field("algorithm", to_string(result.algorithm));
    json.field("protocol", to_string(result.protocol));
    if (answer.nccl) {
        const ProtocolPrice& price = answer.nccl->price;
        json.field("fixed", price.fixed).field("moving", price.moving).field("local", price.local);
        json.field("bytes_time", answer.nccl->bytes_time);
        json.field("correction", price.correction).field("origin", to_string(price.origin));
        json.key("nccl_estimates").begin_array();
        for (const NcclEstimate& e : answer.nccl->estimates) {
            json.begin_object().field("algorithm", to_string(e.algorithm));
            json.field("protocol", to_string(e.protocol)).field("time", e.time.value());
            json.end_object();
        }
        json.end_array();
    }
    context.out << json.end_object().text();
}

// Less than a nanosecond is no figure.
std::string part_text(double seconds) {
    return seconds > 0 && seconds < 1e-9 ? "under 1 ns" : to_text(Seconds(seconds));
}

// Why it is this algorithm and protocol, and what they cost.
void explain(const NcclCollective& nccl, const CommandContext& context) {
    const ProtocolPrice& price = nccl.price;
    if (!nccl.estimates.empty()) {
        std::string text;
        for (const NcclEstimate& e : nccl.estimates) {
            text += fmt::format("{}{} {}", text.empty() ? "" : ", ",
                                name_of(e.algorithm, e.protocol), to_text(e.time));
        }
        context.out << fmt::format(
            "{}NCCL's own estimates: {}\n",
            nccl.was_chosen ? "chosen as NCCL 2.28 does, the smallest of " : "as asked for; ",
            text);
    }
    const bool own_pace = nccl.bytes_time <= price.moving * (1 + 1e-9);
    std::string parts =
        fmt::format("launch and steps {} + bytes at the {} pace {}", part_text(price.fixed),
                    own_pace ? "protocol's" : "links'", part_text(nccl.bytes_time));
    if (price.local > 0) parts += " + own copies " + part_text(price.local);
    const std::string factor =
        price.correction == 1 ? "" : fmt::format(" x {:.3f} measured / fitted", price.correction);
    context.out << fmt::format("time = ({}){} ({})\n", parts, factor, to_string(price.origin));
}

void print(const char* kind, const CollectiveAnswer& answer, std::uint32_t ranks,
           const CommandContext& context) {
    const FlowCollectiveResult& result = answer.result;
    if (context.format == OutputFormat::json) return write_json(kind, answer, context);
    context.out << fmt::format("{} on {}{}, {}: {}, bus bandwidth {}\n", kind, answer.cluster,
                               ranks > 0 ? ", " + counted(ranks, "rank") : std::string(),
                               name_of(result.algorithm, result.protocol),
                               to_text(to_seconds(result.time)), to_text(result.bandwidth));
    context.out << fmt::format("{}; link shares solved {}, {} known from before\n",
                               counted(result.counts.flows, "flow"),
                               counted(result.counts.solves, "time"), result.counts.remembered);
    if (context.quiet) return;
    if (answer.nccl) {
        explain(*answer.nccl, context);
    } else {
        context.out << "links, latencies and sharing only: no protocol costs, no launch\n";
    }
}

// An option whose values are these words.
template <class Value, class Target>
void add_choice(CLI::App& app, const char* name, Target& target, const char* help,
                const std::vector<std::pair<std::string, Value>>& choices) {
    const std::map<std::string, Value> values(choices.begin(), choices.end());
    app.add_option_function<std::string>(
           name, [&target, values](const std::string& text) { target = values.at(text); }, help)
        ->check(CLI::IsMember(values));
}

void add_algorithms(CLI::App& app, FlowCollectiveRequest& request) {
    std::vector<std::pair<std::string, FlowAlgorithm>> algorithms = {
        {"ring", FlowAlgorithm::ring},
        {"nvls", FlowAlgorithm::nvls},
        {"hierarchical", FlowAlgorithm::hierarchical}};
    if (request.kind == FlowCollective::all_reduce) {
        algorithms.emplace_back("tree", FlowAlgorithm::tree);
        algorithms.emplace_back("recursive_doubling", FlowAlgorithm::recursive_doubling);
    }
    add_choice(app, "--algorithm", request.algorithm, "Instead of NCCL's choice", algorithms);
    add_choice<FlowProtocol>(app, "--protocol", request.protocol, "Instead of NCCL's choice",
                             {{"LL", FlowProtocol::ll},
                              {"LL128", FlowProtocol::ll128},
                              {"Simple", FlowProtocol::simple}});
    add_choice<FlowExpansion>(app, "--expand", request.expansion,
                              "messages (links only), or one variable for all of a step's",
                              {{"messages", FlowExpansion::messages}, {"one", FlowExpansion::one}});
}

CLI::App* add_kind(CLI::App& parent, CommandContext& context, const char* name, const char* help,
                   FlowCollective kind) {
    CLI::App* app = parent.add_subcommand(name, help);
    app->fallthrough();
    auto o = std::make_shared<FlowOptions>();
    o->request.kind = kind;
    o->request.ranks = 0;
    app->add_option("--cluster", o->cluster, "Cluster profile")->required();
    app->add_option("--ranks", o->request.ranks, "The cluster's first ranks (default: all)")
        ->check(CLI::Range(2, 1'000'000));
    app->add_option("--bytes", o->bytes, "A size such as \"1023 MB\"")->required();
    app->add_option("--set", o->sets, "Override a key of the cluster, as cluster.nodes=16")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false)
        ->take_all();
    const std::map<std::string, Routing> routings = {{"fixed", Routing::fixed},
                                                     {"adaptive", Routing::adaptive}};
    app->add_option("--routing", o->routing, "fixed (by hash) or adaptive (least loaded)")
        ->transform(CLI::CheckedTransformer(routings));
    if (kind == FlowCollective::all_to_all) {
        const std::map<std::string, AllToAllPattern> patterns = {
            {"simultaneous", AllToAllPattern::simultaneous},
            {"shifted", AllToAllPattern::shifted},
            {"unequal", AllToAllPattern::unequal}};
        app->add_option("--pattern", o->request.pattern, "simultaneous, shifted or unequal")
            ->transform(CLI::CheckedTransformer(patterns));
        app->add_option("--seed", o->request.seed, "Of the sizes of --pattern unequal");
    }
    if (kind != FlowCollective::send_recv && kind != FlowCollective::all_to_all) {
        add_algorithms(*app, o->request);
    }
    app->callback([o, name, &context] {
        try {
            o->request.bytes = parse_quantity<Bytes>(o->bytes);
        } catch (const std::invalid_argument& rule) {
            throw InputError(fmt::format("--bytes {}: {}", o->bytes, rule.what()));
        }
        print(name,
              answer_collective(o->request, o->routing, o->cluster, cluster_sets(o->sets),
                                context.profile_dir()),
              o->request.ranks, context);
    });
    return app;
}

}  // namespace

void add_flow_collectives(CLI::App& parent, CommandContext& context) {
    add_kind(parent, context, "all_to_all", "Every rank sends --bytes in total to the others",
             FlowCollective::all_to_all);
    add_kind(parent, context, "all_reduce", "--bytes is the buffer", FlowCollective::all_reduce);
    add_kind(parent, context, "all_gather", "--bytes is the gathered buffer",
             FlowCollective::all_gather);
    add_kind(parent, context, "reduce_scatter", "--bytes is the reduced buffer",
             FlowCollective::reduce_scatter);
    add_kind(parent, context, "send_recv", "Every rank sends --bytes to the next one",
             FlowCollective::send_recv);
}

}  // namespace orrery
