// The "routing" and "network" blocks of a training scenario.
#include <fmt/format.h>

#include "core/error.hpp"
#include "model/read_loads.hpp"
#include "study/training_reader.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kMostDraws = 1024;
constexpr double kMostSkew = 10;  // as in scenarios of kind expert_all_to_all

// A text that is one of two, plain (given) or with its origin; true for the second. A plain
// default states nothing.
bool read_choice(TrainingReader& reader, const ConfigNode& block, const char* key,
                 const char* first, const char* second, const char* title) {
    const auto node = block.find(key);
    if (!node) return false;
    const ConfigNode text = node->is_object() ? node->at("value") : *node;
    const std::string name = text.as_string();
    if (name != first && name != second) {
        text.fail(fmt::format("must be \"{}\" or \"{}\"", first, second));
    }
    if (node->is_object() || name != first) {
        reader.state(title, name, node->is_object() ? node->provenance() : given_at(*node));
        if (node->is_object()) node->reject_unknown_keys();
    }
    return name == second;
}

void read_skew(TrainingReader& reader, const ConfigNode& block, const char* key, const char* title,
               double& value) {
    const auto node = block.find(key);
    if (!node) return;
    const Sourced<Ratio> number = node->is_object()
                                      ? node->as_sourced<Ratio>()
                                      : Sourced<Ratio>{Ratio(node->as_number()), given_at(*node)};
    value = number.value.value();
    if (!(value >= 0 && value <= kMostSkew))
        node->fail(fmt::format("must be from 0 to {}", kMostSkew));
    if (node->is_object() || value > 0)
        reader.state(title, fmt::format("{:g}", value), number.from);
}

void read_loads_file(TrainingReader& reader, const ConfigNode& block, RoutingChoice& routing) {
    const auto node = block.find("loads");
    if (!node) return;
    if (routing.affinity.skew > 0)
        node->fail("must not stand beside routing.skew: it says how loads differ");
    const std::filesystem::path file = resolve_file(*node, reader.scenario.file);
    routing.loads = read_expert_loads(file);
    routing.loads_file = node->as_string();
    const std::size_t experts = routing.loads.front().size();
    for (const LayerSpec& layer : reader.spec().model.layers) {
        if (!layer.moe || layer.moe->experts == static_cast<std::int64_t>(experts)) continue;
        node->fail(
            fmt::format("has loads of {} experts, the model has {}", experts, layer.moe->experts));
    }
    reader.state("loads of experts", routing.loads_file, given_at(*node));
}

void read_version(TrainingReader& reader, const ConfigNode& block) {
    const auto node = block.find("expert_version");
    if (!node) return;
    if (!reader.spec().network.counted_tokens) {
        node->fail("needs network.expert_all_to_all = \"counted_tokens\"");
    }
    const ConfigNode text = node->is_object() ? node->at("value") : *node;
    NetworkChoice& network = reader.spec().network;
    network.expert_version = parse_expert_version(text.as_string(), text.place());
    if (network.expert_version != NetworkChoice{}.expert_version)
        reader.state("DeepEP's release", text.as_string(),
                     node->is_object() ? node->provenance() : given_at(*node));
    if (node->is_object()) node->reject_unknown_keys();
}

void read_sends(TrainingReader& reader, const ConfigNode& block) {
    const auto node = block.find("pipeline_sends");
    if (!node) return;
    const ConfigNode text = node->is_object() ? node->at("value") : *node;
    for (const PipelineSends sends :
         {PipelineSends::overlapped, PipelineSends::blocking, PipelineSends::free}) {
        if (text.as_string() != to_string(sends)) continue;
        reader.spec().network.pipeline_sends = sends;
        if (!node->is_object() && sends == PipelineSends::overlapped) return;
        reader.state("pipeline sends", text.as_string(),
                     node->is_object() ? node->provenance() : given_at(*node));
        if (node->is_object()) node->reject_unknown_keys();
        return;
    }
    text.fail("must be \"overlapped\", \"blocking\" or \"free\"");
}

}  // namespace

void read_routing(TrainingReader& reader) {
    const auto block = reader.scenario.document.find("routing");
    if (!block) return;
    RoutingChoice& routing = reader.spec().routing;
    if (read_choice(reader, *block, "kind", "balanced", "drawn", "routing of tokens")) {
        routing.kind = RoutingKind::drawn;
    }
    if (routing.kind == RoutingKind::balanced) {
        for (const char* key : {"skew", "sequence_skew", "loads", "draws", "seed"}) {
            if (const auto node = block->find(key)) node->fail("needs routing.kind = \"drawn\"");
        }
        block->reject_unknown_keys();
        return;
    }
    read_skew(reader, *block, "skew", "skew of experts' popularity", routing.affinity.skew);
    read_skew(reader, *block, "sequence_skew", "skew of experts anew for each sequence",
              routing.affinity.sequence_skew);
    read_loads_file(reader, *block, routing);
    if (const auto seed = block->find("seed")) {
        routing.affinity.seed = static_cast<std::uint64_t>(seed->as_integer(0));
    }
    if (const auto draws = block->find("draws")) {
        routing.draws = static_cast<std::int32_t>(draws->as_integer(1, kMostDraws));
    }
    block->reject_unknown_keys();
}

void read_network(TrainingReader& reader) {
    const auto block = reader.scenario.document.find("network");
    if (!block) return;
    NetworkChoice& network = reader.spec().network;
    network.counted_tokens = read_choice(reader, *block, "expert_all_to_all", "published_rates",
                                         "counted_tokens", "expert all-to-all");
    if (const auto notify = block->find("notify")) {
        if (!network.counted_tokens) {
            notify->fail(
                "needs network.expert_all_to_all = \"counted_tokens\": published rates "
                "have it inside");
        }
        network.notify = notify->as_bool();
        if (!network.notify)
            reader.state("notify before expert all-to-all", "none", given_at(*notify));
    }
    read_version(reader, *block);
    read_sends(reader, *block);
    if (read_choice(reader, *block, "links", "own", "shared", "links of all-to-all and sends")) {
        if (!network.counted_tokens) {
            block->at("links").fail("needs network.expert_all_to_all = \"counted_tokens\"");
        }
        network.shared_links = true;
    }
    block->reject_unknown_keys();
}

}  // namespace orrery
