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

void print(const char* kind, const CollectiveAnswer& answer, std::uint32_t ranks,
           const CommandContext& context) {
    const FlowCollectiveResult& result = answer.result;
    const Seconds time = to_seconds(result.time);
    if (context.format == OutputFormat::json) {
        JsonWriter json;
        json.begin_object().field("collective", kind).field("cluster", answer.cluster);
        json.field("time", time.value()).field("flows", result.counts.flows);
        json.field("solves", result.counts.solves).field("remembered", result.counts.remembered);
        json.field("bandwidth", result.bandwidth.value());
        context.out << json.end_object().text();
        return;
    }
    context.out << fmt::format("{} on {}{}: {}, {} a rank\n", kind, answer.cluster,
                               ranks > 0 ? fmt::format(", {} ranks", ranks) : std::string(),
                               to_text(time), to_text(result.bandwidth));
    context.out << fmt::format("{} flows; link shares solved {} times, {} known from before\n",
                               result.counts.flows, result.counts.solves, result.counts.remembered);
    if (!context.quiet) {
        context.out << "links, latencies and sharing only: no protocol costs, no launch\n";
    }
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
    if (kind == FlowCollective::all_reduce) {
        const std::map<std::string, FlowAlgorithm> algorithms = {
            {"ring", FlowAlgorithm::ring},
            {"recursive_doubling", FlowAlgorithm::recursive_doubling}};
        app->add_option("--algorithm", o->request.algorithm, "ring or recursive_doubling")
            ->transform(CLI::CheckedTransformer(algorithms));
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
