// orrery topology: a network's counts, bandwidths and cost, beside what is published of it.

#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "core/error.hpp"
#include "core/unit_text.hpp"
#include "report/json_writer.hpp"
#include "report/text_table.hpp"
#include "study/topology_answer.hpp"

namespace orrery {
namespace {

struct TopologyOptions {
    std::string name, cluster;
    std::vector<std::string> sets;
};

double error_of(const TopologyAnswer& answer) {
    return answer.cost->total().value() * 1e-6 / answer.published->cost_musd - 1;
}

void print_json(const TopologyAnswer& answer, const CommandContext& context) {
    JsonWriter json;
    json.begin_object().field("topology", answer.name).field("title", answer.title);
    json.field("endpoints", answer.counts.endpoints).field("switches", answer.counts.switches);
    json.field("switch_links", answer.counts.switch_links);
    json.field("endpoint_links", answer.counts.endpoint_links);
    json.field("nvlink_switches", answer.counts.nvlink_switches);
    json.field("switch_diameter", answer.diameter);
    json.key("bisection");
    answer.bisection ? json.value(answer.bisection->value()) : json.null();
    json.key("link_classes").begin_array();
    for (const LinkClassAnswer& c : answer.classes) {
        json.begin_object().field("class", c.name).field("links", c.links);
        json.field("failed", c.failed).field("lowest", c.lowest.value());
        json.field("highest", c.highest.value()).end_object();
    }
    json.end_array();
    if (answer.cost) {
        json.key("cost").begin_object().field("total", answer.cost->total().value());
        json.field("switches", answer.cost->switches.value());
        json.field("endpoint_cables", answer.cost->endpoint_cables.value());
        json.field("switch_cables", answer.cost->switch_cables.value());
        json.field("mean_length_m", answer.cost->mean_length_m);
        json.key("sources").begin_array();
        for (const Provenance& p :
             {answer.prices.switches, answer.prices.cables, answer.prices.placement}) {
            json.begin_object().field("origin", to_string(p.origin)).field("source", p.source);
            json.end_object();
        }
        json.end_array().end_object();
    }
    if (answer.published) {
        json.key("published").begin_object().field("endpoints", answer.published->endpoints);
        json.field("switches", answer.published->switches);
        json.field("switch_links", answer.published->switch_links);
        json.field("cost", answer.published->cost_musd * 1e6).field("cost_error", error_of(answer));
        json.field("source", answer.published->citation).end_object();
    }
    json.key("notes").begin_array();
    for (const std::string& note : answer.notes) json.value(note);
    context.out << json.end_array().end_object().text();
}

std::string millions(double dollars) { return fmt::format("{:.2f} M USD", dollars * 1e-6); }

void add_cost(const TopologyAnswer& answer, TextTable& table) {
    const NetworkCost& cost = *answer.cost;
    std::vector<std::string> cells = {"cost", millions(cost.total().value())};
    if (answer.published) {
        cells.push_back(millions(answer.published->cost_musd * 1e6));
        cells.push_back(fmt::format("{:+.0f} %", 100 * error_of(answer)));
    }
    table.add_row(cells);
    table.add_row({"  switches", millions(cost.switches.value())});
    table.add_row({"  cables to endpoints", millions(cost.endpoint_cables.value())});
    table.add_row({"  cables between switches", millions(cost.switch_cables.value())});
    table.add_row({"  their mean length", fmt::format("{:.1f} m", cost.mean_length_m)});
}

void print_text(const TopologyAnswer& answer, const CommandContext& context) {
    context.out << "topology " << answer.name;
    if (!answer.title.empty()) context.out << ": " << answer.title;
    context.out << '\n';
    const auto& p = answer.published;
    std::vector<TextColumn> columns = {{"what"}, {"here", Align::right}};
    if (p) columns.insert(columns.end(), {{"published", Align::right}, {"error", Align::right}});
    TextTable table(columns);
    const auto add = [&](const char* what, std::int64_t here, std::optional<std::int64_t> there) {
        std::vector<std::string> cells = {what, std::to_string(here)};
        if (there) {
            cells.push_back(std::to_string(*there));
            cells.push_back(fmt::format("{:+}", here - *there));
        }
        table.add_row(cells);
    };
    add("endpoints", answer.counts.endpoints, p ? std::optional(p->endpoints) : std::nullopt);
    add("switches", answer.counts.switches, p ? std::optional(p->switches) : std::nullopt);
    add("links between switches", answer.counts.switch_links,
        p ? std::optional(p->switch_links) : std::nullopt);
    if (answer.counts.nvlink_switches > 0) {
        add("NVLink switches", answer.counts.nvlink_switches, std::nullopt);
    }
    table.add_row({"links across switches, most", std::to_string(answer.diameter)});
    table.add_row({"half to half, one way",
                   answer.bisection ? to_text(*answer.bisection) : "not computed at this size"});
    for (const LinkClassAnswer& c : answer.classes) {
        std::string rate = to_text(c.lowest);
        if (c.highest != c.lowest) rate += " to " + to_text(c.highest);
        if (c.failed > 0) rate += fmt::format(", {} failed", c.failed);
        table.add_row({fmt::format("{} {} links, each way", c.links, c.name), rate});
    }
    if (answer.cost) add_cost(answer, table);
    context.out << '\n' << table.render(context.width(), context.use_color());
    for (const std::string& note : answer.notes) context.out << "\nnote: " << note << '\n';
    if (p) context.out << "\npublished: " << p->citation << '\n';
    if (answer.cost && !context.quiet) {
        context.out << "prices, with sources and the placement behind the lengths: --format json\n";
    }
}

}  // namespace

void add_topology_command(CLI::App& app, CommandContext& context) {
    CLI::App* command = app.add_subcommand(
        "topology", "A network's counts, bandwidths and cost, beside what is published");
    auto options = std::make_shared<TopologyOptions>();
    command->add_option("name", options->name,
                        "ft2, mpft, ft3, slim_fly, dragonfly, crossbar, "
                        "nvswitch or nvl72, at published size; or a file: a graph "
                        "(.json), NCCL's topology (.xml), nvidia-smi topo -m (.txt)");
    command->add_option("--cluster", options->cluster, "The network of a cluster profile instead");
    command
        ->add_option("--set", options->sets,
                     "Override a key of the cluster, as cluster.nodes=16 (may be repeated)")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false)
        ->take_all();
    command->callback([options, &context] {
        if (options->name.empty() == options->cluster.empty()) {
            throw InputError("topology: must have either a name or --cluster NAME");
        }
        if (options->cluster.empty() && !options->sets.empty()) {
            throw InputError("topology: --set changes a cluster: must have --cluster NAME");
        }
        const auto profiles = context.profile_dir();
        const TopologyAnswer answer =
            options->cluster.empty()
                ? answer_topology(options->name, profiles)
                : answer_cluster_topology(options->cluster, cluster_sets(options->sets), profiles);
        context.format == OutputFormat::json ? print_json(answer, context)
                                             : print_text(answer, context);
    });
}

}  // namespace orrery
