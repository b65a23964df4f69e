#include "study/training_scenario.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "core/unit_text.hpp"
#include "hardware/accelerator_profile.hpp"
#include "hardware/cluster_profile.hpp"
#include "model/read_config.hpp"
#include "model/read_plan.hpp"
#include "study/training_settings.hpp"
#include "training/schedule.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostGpus = 1'000'000;
constexpr std::int64_t kMostMicroBatches = 1'000'000;
constexpr std::int64_t kLongestSequence = 16 * 1024 * 1024;
constexpr std::int64_t kMostSequences = 1'000'000'000;

// What is read of one scenario, with the trail of stated inputs.
struct Reader {
    const Scenario& scenario;
    const fs::path& profiles;
    TrainingScenario result;

    TrainingSpec& spec() { return result.spec; }
    void state(const std::string& name, const std::string& value, const Provenance& from) {
        result.sources.push_back({name, value, from});
    }
};

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

Provenance given_at(const ConfigNode& node) { return {Origin::given, node.file()}; }

// A profile number that the scenario may override: a plain quantity (origin given) or an object
// with value, origin and source.
template <class Q>
void override_number(const ConfigNode& block, const char* key, Sourced<Q>& number) {
    const auto node = block.find(key);
    if (!node) return;
    number = node->is_object() ? node->as_sourced<Q>()
                               : Sourced<Q>{node->as_quantity<Q>(), given_at(*node)};
    if (number.value.value() <= 0) node->fail("must be more than 0");
}

// A whole number of the profile that the scenario may override.
void override_count(const ConfigNode& block, const char* key, Sourced<Ratio>& number) {
    const auto node = block.find(key);
    if (!node) return;
    number = {Ratio(static_cast<double>(node->as_integer(1, kMostGpus))), given_at(*node)};
}

void read_slow_ranks(Reader& reader, const ConfigNode& block) {
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

void read_cluster(Reader& reader) {
    const ConfigNode block = reader.scenario.document.at("cluster");
    TrainingSpec& spec = reader.spec();
    spec.cluster = named_by(block.at("profile"), [&](const std::string& name) {
        return load_cluster(name, reader.profiles / "clusters");
    });
    const fs::path accelerators = reader.profiles / "accelerators";
    if (const auto node = block.find("accelerator")) {
        spec.accelerator = named_by(
            *node, [&](const std::string& name) { return load_accelerator(name, accelerators); });
        spec.cluster.accelerator = node->as_string();
    } else {
        spec.accelerator = load_accelerator(spec.cluster.accelerator, accelerators);
    }
    override_count(block, "nodes", spec.cluster.nodes);
    override_count(block, "gpus_per_node", spec.cluster.gpus_per_node);
    override_number(block, "nic_bandwidth", spec.cluster.nic_bandwidth);
    override_number(block, "nvlink_bandwidth", spec.cluster.nvlink_bandwidth);
    override_number(block, "price_per_gpu_hour", spec.cluster.price_per_gpu_hour);
    const double gpus = spec.cluster.nodes.value.value() * spec.cluster.gpus_per_node.value.value();
    if (gpus > static_cast<double>(kMostGpus)) {
        const auto nodes = block.find("nodes");
        (nodes ? *nodes : block)
            .fail(fmt::format("gives {:.0f} GPUs, must give at most {}", gpus, kMostGpus));
    }
    read_slow_ranks(reader, block);
    block.reject_unknown_keys();
}

// A stated deviation from the ideal run: a plain number (given) or value, origin and source.
double read_stated(Reader& reader, const ConfigNode& block, const char* key, double at_least,
                   double at_most, double otherwise, const char* title) {
    const auto node = block.find(key);
    if (!node) return otherwise;
    const Sourced<Ratio> number = node->is_object()
                                      ? node->as_sourced<Ratio>()
                                      : Sourced<Ratio>{node->as_quantity<Ratio>(), given_at(*node)};
    const double value = number.value.value();
    if (value < at_least || value > at_most) {
        node->fail(fmt::format("must be from {} to {}", at_least, at_most));
    }
    reader.state(title, fmt::format("{:g}", value), number.from);
    return value;
}

void read_clock(Reader& reader, const ConfigNode& block) {
    const auto node = block.find("clock");
    if (!node) return;
    const ConfigNode text = node->is_object() ? node->at("value") : *node;
    const std::string name = text.as_string();
    if (name != "burst" && name != "sustained") text.fail("must be \"burst\" or \"sustained\"");
    reader.spec().clock = name == "burst" ? Clock::burst : Clock::sustained;
    reader.state("clock of the GPUs", name,
                 node->is_object() ? node->provenance() : given_at(*node));
    node->reject_unknown_keys();
}

void read_train(Reader& reader) {
    const ConfigNode block = reader.scenario.document.at("train");
    TrainingSpec& spec = reader.spec();
    spec.sequences = block.at("sequences").as_integer(1, kMostSequences);
    spec.sequence_length = block.at("sequence_length").as_integer(1, kLongestSequence);
    if (const auto tokens = block.find("tokens")) {
        spec.tokens = tokens->as_number();
        if (spec.tokens < 0 || spec.tokens > 1e18) tokens->fail("must be from 0 to 1e18");
    }
    read_clock(reader, block);
    spec.jitter = read_stated(reader, block, "jitter", 0, 1, 0, "jitter of a pass's compute time");
    spec.routed_rows_factor = read_stated(reader, block, "routed_rows_factor", 0.01, 1000, 1,
                                          "rows of the busiest experts over the mean");
    spec.communication_sms =
        static_cast<std::int64_t>(read_stated(reader, block, "communication_sms", 0, 1024, 0,
                                              "SMs held by expert all-to-all beside compute"));
    if (const auto seed = block.find("seed")) {
        spec.seed = static_cast<std::uint64_t>(seed->as_integer(0));
    }
    block.reject_unknown_keys();
}

void read_run(Reader& reader) {
    const auto block = reader.scenario.document.find("run");
    if (!block) return;
    if (const auto fold = block->find("fold")) {
        const std::string text = fold->as_string();
        if (text != "auto" && text != "none") fold->fail("must be \"auto\" or \"none\"");
        reader.spec().fold = text == "auto";
    }
    block->reject_unknown_keys();
}

// The plan, in which dp defaults to every GPU that tp, pp and cp leave, so that the plan's reader
// sees one number.
ConfigNode with_dp(Reader& reader, const ConfigNode& plan) {
    if (plan.has("dp")) return plan;
    std::int64_t used = 1;
    for (const char* key : {"tp", "pp", "cp"}) {
        if (const auto degree = plan.find(key)) used *= degree->as_integer(1, kMostGpus);
        if (used > kMostGpus) plan.fail(fmt::format("takes more than {} GPUs", kMostGpus));
    }
    const ClusterProfile& cluster = reader.spec().cluster;
    const auto gpus = static_cast<std::int64_t>(cluster.nodes.value.value() *
                                                cluster.gpus_per_node.value.value());
    ConfigNode filled = plan;
    filled.set("dp", std::to_string(std::max<std::int64_t>(1, gpus / used)));
    return filled;
}

void check_schedule(const ConfigNode& plan) {
    const auto node = plan.find("schedule");
    if (!node) return;
    std::string names;
    for (const ScheduleKind& kind : schedule_kinds()) {
        if (node->as_string() == kind.name) return;
        names += fmt::format("{}{}", names.empty() ? "" : ", ", kind.name);
    }
    node->fail("must be one of " + names);
}

void check_sizes(Reader& reader, const ConfigNode& plan_node) {
    const TrainingSpec& spec = reader.spec();
    const ParallelPlan& plan = spec.plan;
    const auto gpus = static_cast<std::int64_t>(spec.cluster.nodes.value.value() *
                                                spec.cluster.gpus_per_node.value.value());
    if (plan.ranks() > gpus) {
        const auto dp = plan_node.find("dp");
        (dp ? *dp : plan_node)
            .fail(fmt::format(
                "takes {} GPUs (tp {} x pp {} x dp {} x cp {}), must take at most the cluster's {}",
                plan.ranks(), plan.tp, plan.pp, plan.dp, plan.cp, gpus));
    }
    const std::int64_t at_once = plan.dp * plan.micro_batch_size;
    const ConfigNode sequences = reader.scenario.document.at("train").at("sequences");
    if (spec.sequences % at_once != 0) {
        sequences.fail(fmt::format("must divide by plan.dp x plan.micro_batch_size = {} x {} = {}",
                                   plan.dp, plan.micro_batch_size, at_once));
    }
    if (spec.micro_batches() > kMostMicroBatches) {
        sequences.fail(fmt::format("gives {} micro-batches, must give at most {}",
                                   spec.micro_batches(), kMostMicroBatches));
    }
    for (const SlowRank& slow : spec.slow_ranks) {
        if (slow.rank >= plan.ranks()) {
            reader.scenario.document.at("cluster")
                .at("slow_ranks")
                .fail(fmt::format("rank {} must be less than the plan's {} ranks", slow.rank,
                                  plan.ranks()));
        }
    }
    if (plan.ranks() < gpus) {
        reader.result.notes.push_back(fmt::format(
            "The plan uses {} of the cluster's {} GPUs; GPU hours and cost count those it uses.",
            plan.ranks(), gpus));
    }
}

}  // namespace

TrainingScenario read_training_scenario(const Scenario& scenario, const fs::path& profiles) {
    Reader reader{scenario, profiles, {}};
    const ConfigNode& document = scenario.document;
    reader.result.model_file = resolve_file(document.at("model"), scenario.file);
    reader.spec().model = load_model(reader.result.model_file);
    read_cluster(reader);
    read_train(reader);
    read_run(reader);
    const ConfigNode plan = with_dp(reader, document.at("plan"));
    reader.spec().plan = read_plan(plan, reader.spec().model);
    const Sourced<Bytes>& framework = reader.spec().plan.framework_memory;
    if (framework.value.value() > 0) {
        reader.state("memory of CUDA, libraries and NCCL", to_text(framework.value, 3),
                     framework.from);
    }
    plan.reject_unknown_keys();  // the filled plan is a document of its own
    document.at("plan").accept_all();
    document.reject_unknown_keys();
    check_schedule(plan);
    check_plan(reader.spec().model, reader.spec().plan, reader.spec().sequence_length, plan.file());
    check_sizes(reader, plan);
    reader.result.used = used_settings(scenario, reader.spec());
    return std::move(reader.result);
}

}  // namespace orrery
