#include "study/training_scenario.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.hpp"
#include "model/read_config.hpp"
#include "model/read_plan.hpp"
#include "study/training_reader.hpp"
#include "study/training_settings.hpp"
#include "training/schedule.hpp"
#include "training/schedule_check.hpp"
#include "training/schedule_csv.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostMicroBatches = 1'000'000;
constexpr std::int64_t kLongestSequence = 16 * 1024 * 1024;
constexpr std::int64_t kMostSequences = 1'000'000'000;
constexpr int kLeastComputeSms = 16;

// A stated deviation from the ideal run: a plain number (given) or value, origin and source.
double read_stated(TrainingReader& reader, const ConfigNode& block, const char* key,
                   double at_least, double at_most, double otherwise, const char* title) {
    const auto node = block.find(key);
    if (!node) return otherwise;
    const Sourced<Ratio> number = node->is_object()
                                      ? node->as_sourced<Ratio>()
                                      : Sourced<Ratio>{node->as_quantity<Ratio>(), given_at(*node)};
    const double value = number.value.value();
    // A plain default states nothing: "used" settings say it and keep their origins.
    if (!node->is_object() && value == otherwise) return value;
    if (value < at_least || value > at_most) {
        node->fail(fmt::format("must be from {} to {}", at_least, at_most));
    }
    reader.state(title, fmt::format("{:g}", value), number.from);
    return value;
}

void read_clock(TrainingReader& reader, const ConfigNode& block) {
    const auto node = block.find("clock");
    if (!node) return;
    const ConfigNode text = node->is_object() ? node->at("value") : *node;
    const std::string name = text.as_string();
    if (name != "burst" && name != "sustained") text.refuse("must be \"burst\" or \"sustained\"");
    reader.spec().clock = name == "burst" ? Clock::burst : Clock::sustained;
    if (!node->is_object() && name == "burst") return;  // the default states nothing
    reader.state("clock of the GPUs", name,
                 node->is_object() ? node->provenance() : given_at(*node));
    node->reject_unknown_keys();
}

// Where the profile knows how GPUs differ, a sustained clock takes it, unless jitter is given.
void read_paces(TrainingReader& reader, const ConfigNode& block) {
    TrainingSpec& spec = reader.spec();
    const GpuPace pace(spec.accelerator);
    const bool has = pace.known() && spec.clock == Clock::sustained;
    if (has && spec.jitter == 0) spec.paces = GpuPaces::slowest;
    const auto node = block.find("gpu_pace");
    if (node) {
        const std::string name = node->as_string();
        if (name != "alike" && name != "slowest" && name != "drawn") {
            node->fail("must be \"alike\", \"slowest\" or \"drawn\"");
        }
        spec.paces = name == "alike"     ? GpuPaces::alike
                     : name == "slowest" ? GpuPaces::slowest
                                         : GpuPaces::drawn;
        if (spec.paces != GpuPaces::alike && !has) {
            node->fail(fmt::format("must be \"alike\": {}",
                                   pace.known() ? "train.clock is not sustained"
                                                : "the accelerator's profile has no table pace"));
        }
        if (spec.paces == GpuPaces::drawn && spec.jitter > 0) {
            node->fail(
                "must not be \"drawn\" beside train.jitter, which draws passes' times itself");
        }
    }
    if (spec.paces == GpuPaces::drawn) spec.jitter = pace.deviation();
    if (spec.paces == GpuPaces::alike) return;
    reader.state("pace of the GPUs",
                 fmt::format("{}, deviation {:.1f} %",
                             spec.paces == GpuPaces::drawn ? "drawn each pass" : "the slowest's",
                             pace.deviation() * 100),
                 pace.from());
}

// Compute keeps kLeastComputeSms: rates of fewer are known to no table.
void read_communication_sms(TrainingReader& reader, const ConfigNode& block) {
    const char* const key = "communication_sms";
    const double sms = reader.spec().accelerator.sms.value.value();
    const double most = std::max(0.0, sms - kLeastComputeSms);
    const double held =
        read_stated(reader, block, key, 0, 1e6, 0, "SMs held by expert all-to-all beside compute");
    if (held > most || held != std::floor(held)) {
        block.at(key).fail(
            fmt::format("must be a whole number from 0 to {:.0f}: {} of the "
                        "accelerator's {:.0f} SMs are left to compute",
                        most, kLeastComputeSms, sms));
    }
    reader.spec().communication_sms = static_cast<std::int64_t>(held);
}

void read_train(TrainingReader& reader) {
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
    read_paces(reader, block);
    spec.routed_rows_factor = read_stated(reader, block, "routed_rows_factor", 1, 1000, 1,
                                          "rows of the busiest experts over the mean");
    read_communication_sms(reader, block);
    if (const auto seed = block.find("seed")) {
        spec.seed = static_cast<std::uint64_t>(seed->as_integer(0));
    }
    block.reject_unknown_keys();
}

void read_run(TrainingReader& reader) {
    const auto block = reader.scenario.document.find("run");
    if (!block) return;
    if (const auto fold = block->find("fold")) {
        const std::string text = fold->as_string();
        if (text != "auto" && text != "none") fold->refuse("must be \"auto\" or \"none\"");
        reader.spec().fold = text == "auto";
    }
    block->reject_unknown_keys();
}

// The plan, in which dp defaults to every GPU that tp, pp and cp leave, so that the plan's reader
// sees one number.
ConfigNode with_dp(TrainingReader& reader, const ConfigNode& plan) {
    if (plan.has("dp")) return plan;
    std::int64_t used = 1;
    for (const char* key : {"tp", "pp", "cp"}) {
        if (const auto degree = plan.find(key)) used *= degree->as_integer(1, kMostGpus);
        if (used > kMostGpus) plan.fail(fmt::format("takes more than {} GPUs", kMostGpus));
    }
    ConfigNode filled = plan;
    filled.set("dp", std::to_string(std::max<std::int64_t>(1, reader.gpus() / used)));
    return filled;
}

// A schedule by name, or a file in PyTorch's CSV form, found beside the scenario.
void read_schedule(TrainingReader& reader, const ConfigNode& plan) {
    const auto node = plan.find("schedule");
    if (!node) return;
    const std::string name = node->as_string();
    if (name.ends_with(".csv")) {
        const fs::path file = resolve_file(*node, reader.scenario.file);
        PipelineSchedule schedule = schedule_from_csv(read_text_file(file, "a CSV file"), name);
        check_schedule(schedule);
        reader.spec().own_schedule = std::move(schedule);
        return;
    }
    std::string names;
    for (const ScheduleKind& kind : schedule_kinds()) {
        if (name == kind.name) return;
        names += fmt::format("{}{}", names.empty() ? "" : ", ", kind.name);
    }
    node->refuse(fmt::format("must be one of {}, or a .csv file", names));
}

void check_sizes(TrainingReader& reader, const ConfigNode& plan_node) {
    const TrainingSpec& spec = reader.spec();
    const ParallelPlan& plan = spec.plan;
    const std::int64_t gpus = reader.gpus();
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
    TrainingReader reader{scenario, profiles, {}};
    const ConfigNode& document = scenario.document;
    reader.result.model_file = resolve_file(document.at("model"), scenario.file);
    reader.spec().model = load_model(reader.result.model_file);
    read_cluster(reader);
    read_train(reader);
    read_routing(reader);
    read_network(reader);
    read_run(reader);
    const ConfigNode plan = with_dp(reader, document.at("plan"));
    reader.spec().plan = read_plan(plan, reader.spec().model);
    plan.reject_unknown_keys();  // the filled plan is a document of its own
    document.at("plan").accept_all();
    document.reject_unknown_keys();
    read_schedule(reader, plan);
    check_plan(reader.spec().model, reader.spec().plan, reader.spec().sequence_length, plan);
    check_sizes(reader, plan);
    reader.result.used = used_settings(scenario, reader.spec());
    return std::move(reader.result);
}

}  // namespace orrery
