// The "cluster" block of a training scenario.
#include <fmt/format.h>

#include "core/error.hpp"
#include "hardware/accelerator_profile.hpp"
#include "hardware/cluster_profile.hpp"
#include "study/training_reader.hpp"

namespace orrery {
namespace {

constexpr double kSlowestLink = 1e6, kFastestLink = 1e15;  // B/s; beyond lies a slip of the unit

// Runs `load`, which takes the text of `node`. Messages that do not name the node's file, as of a
// profile or schedule that does not exist, get it, the key and the value.
template <class Load>
auto named_by(const ConfigNode& node, const Load& load) {
    try {
        return load(node.as_string());
    } catch (const InputError& e) {
        const std::string text = e.what();
        const std::size_t rule = text.find(": is not a profile");
        if (rule == std::string::npos) throw;
        node.fail(text.substr(rule + 2));
    }
}

// A profile number that the scenario may override: a plain quantity (origin given) or an object
// with value, origin and source.
template <class Q>
void override_number(const ConfigNode& block, const char* key, Sourced<Q>& number) {
    const auto node = block.find(key);
    if (!node) return;
    number = node->is_object() ? node->as_sourced<Q>()
                               : Sourced<Q>{node->as_quantity<Q>(), given_at(*node)};
    const double value = number.value.value();
    if (value <= 0) node->fail("must be more than 0");
    if (std::is_same_v<Q, BytesPerSecond> && (value < kSlowestLink || value > kFastestLink)) {
        node->fail("must be from 1 MB/s to 1 PB/s");
    }
    if (value > 1e15) node->fail("must be at most 1e15");
}

// A whole number of the profile that the scenario may override.
void override_count(const ConfigNode& block, const char* key, Sourced<Ratio>& number) {
    const auto node = block.find(key);
    if (!node) return;
    number = {Ratio(static_cast<double>(node->as_integer(1, kMostGpus))), given_at(*node)};
}

void read_slow_ranks(TrainingReader& reader, const ConfigNode& block) {
    const auto list = block.find("slow_ranks");
    if (!list) return;
    for (const ConfigNode& element : list->elements()) {
        SlowRank slow;
        slow.rank = element.at("rank").as_integer(0, kMostGpus);
        slow.factor = element.at("factor").as_quantity<Ratio>().value();
        if (slow.factor <= 0 || slow.factor > 1000) {
            element.at("factor").fail("must be more than 0 and at most 1000");
        }
        element.reject_unknown_keys();
        for (const SlowRank& other : reader.spec().slow_ranks) {
            if (other.rank == slow.rank) element.at("rank").fail("must be named once");
        }
        reader.spec().slow_ranks.push_back(slow);
        reader.state(fmt::format("slowness of rank {}", slow.rank),
                     fmt::format("x {}", slow.factor), given_at(element));
    }
}

// What has failed in the fabric, as an override of the profile.
std::vector<std::string> failures(TrainingReader& reader, const ConfigNode& fail) {
    fail.accept_all();
    reader.state("failed in the network", fmt::format("{} nodes or links", fail.size()),
                 given_at(fail));
    return {"fabric.fail=" + fail.dump(-1)};
}

}  // namespace

void read_cluster(TrainingReader& reader) {
    const ConfigNode block = reader.scenario.document.at("cluster");
    TrainingSpec& spec = reader.spec();
    std::vector<std::string> sets;
    if (const auto fail = block.find("fail")) sets = failures(reader, *fail);
    spec.cluster = named_by(block.at("profile"), [&](const std::string& name) {
        return load_cluster(name, reader.profiles, sets);
    });
    if (const auto node = block.find("accelerator")) {
        spec.accelerator = named_by(*node, [&](const std::string& name) {
            return load_accelerator(name, reader.profiles);
        });
        if (spec.cluster.accelerator != node->as_string() && !block.has("nvlink_bandwidth")) {
            reader.result.notes.push_back(fmt::format(
                "cluster.accelerator = {} changes the GPU alone: NVLink stays the {} of cluster "
                "{} (cluster.nvlink_bandwidth changes it).",
                node->as_string(), to_text(spec.cluster.nvlink_bandwidth.value, 3),
                block.at("profile").as_string()));
        }
        spec.cluster.accelerator = node->as_string();
    } else {
        spec.accelerator = load_accelerator(spec.cluster.accelerator, reader.profiles);
    }
    if (const auto node = block.find("kernels")) {
        const std::string kernels = node->as_string();
        if (kernels != "own" && kernels != "published") {
            node->fail("must be \"own\" or \"published\"");
        }
        prefer(spec.accelerator, kernels == "own" ? KernelChoice::own : KernelChoice::published);
        spec.kernels = kernels;
        reader.state("kernels preferred", kernels, given_at(*node));
    }
    override_count(block, "nodes", spec.cluster.nodes);
    override_count(block, "gpus_per_node", spec.cluster.gpus_per_node);
    override_number(block, "nic_bandwidth", spec.cluster.nic_bandwidth);
    override_number(block, "nvlink_bandwidth", spec.cluster.nvlink_bandwidth);
    override_number(block, "price_per_gpu_hour", spec.cluster.price_per_gpu_hour);
    const std::int64_t gpus = reader.gpus();
    if (gpus > kMostGpus) {
        const auto nodes = block.find("nodes");
        (nodes ? *nodes : block)
            .fail(fmt::format("gives {} GPUs, must give at most {}", gpus, kMostGpus));
    }
    read_slow_ranks(reader, block);
    block.reject_unknown_keys();
}

}  // namespace orrery
