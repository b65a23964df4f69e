// The "cluster" block of a training scenario.
#include <fmt/format.h>

#include "study/cluster_block.hpp"
#include "study/training_reader.hpp"

namespace orrery {
namespace {

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

}  // namespace

void read_cluster(TrainingReader& reader) {
    const ConfigNode block = reader.scenario.document.at("cluster");
    TrainingSpec& spec = reader.spec();
    spec.cluster = read_cluster_profile(block, reader.profiles);
    spec.accelerator = read_accelerator(block, spec.cluster, reader.profiles);
    if (const auto fail = block.find("fail")) {
        reader.state("failed in the network", fmt::format("{} nodes or links", fail->size()),
                     given_at(*fail));
    }
    if (const auto node = block.find("accelerator")) {
        if (spec.cluster.accelerator != node->as_string() && !block.has("nvlink_bandwidth")) {
            reader.result.notes.push_back(fmt::format(
                "cluster.accelerator = {} changes the GPU alone: NVLink stays the {} of cluster "
                "{} (cluster.nvlink_bandwidth changes it).",
                node->as_string(), to_text(spec.cluster.nvlink_bandwidth.value, 3),
                block.at("profile").as_string()));
        }
        spec.cluster.accelerator = node->as_string();
    }
    if (const auto node = block.find("kernels")) {
        spec.kernels = node->as_string();
        reader.state("kernels preferred", spec.kernels, given_at(*node));
    }
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
