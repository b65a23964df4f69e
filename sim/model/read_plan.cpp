#include "model/read_plan.hpp"

#include <charconv>

#include <fmt/format.h>

namespace orrery {

namespace {

constexpr std::int64_t most_ranks = 1'000'000;

std::int64_t degree(const ConfigNode& plan, const char* key) {
    const auto node = plan.find(key);
    return node ? node->as_integer(1, most_ranks) : 1;
}

Precision read_precision(const ConfigNode& plan) {
    const auto node = plan.find("precision");
    if (!node) return Precision::bf16;
    const std::string name = node->as_string();
    for (const Precision p : {Precision::bf16, Precision::fp8_tensor, Precision::fp8_block}) {
        if (name == to_string(p)) return p;
    }
    node->refuse("must be bf16, fp8_tensor or fp8_block");
}

void add_recompute(const ConfigNode& name, Recompute& recompute) {
    const std::string text = name.as_string();
    if (text == "norm") {
        recompute.norm = true;
    } else if (text == "mla_up_projection") {
        recompute.mla_up_projection = true;
    } else if (text == "swiglu") {
        recompute.swiglu = true;
    } else if (text == "full") {
        recompute.full = true;
    } else {
        name.refuse("must be norm, mla_up_projection, swiglu, full or none");
    }
}

Recompute read_recompute(const ConfigNode& plan) {
    Recompute recompute;
    const auto node = plan.find("recompute");
    if (!node) return recompute;
    if (node->is_array()) {
        for (const ConfigNode& name : node->elements()) add_recompute(name, recompute);
    } else if (node->as_string() != "none") {
        add_recompute(*node, recompute);
    }
    return recompute;
}

// Read before the schedule is known to exist: only interleaved_1f1b has a choice here.
void read_schedule(const ConfigNode& plan, ParallelPlan& result) {
    if (const auto name = plan.find("schedule")) result.schedule = name->as_string();
    if (const auto chunks = plan.find("virtual_stages")) {
        result.virtual_stages = chunks->as_integer(1, 1024);
    }
    const std::int64_t own = chunks_per_rank(result);
    if (plan.has("virtual_stages") && result.virtual_stages != own) {
        plan.at("virtual_stages")
            .fail(fmt::format("must be {} with schedule {}, or left out: {}", own, result.schedule,
                              result.schedule == "interleaved_1f1b"
                                  ? "it interleaves at least 2 chunks a rank"
                                  : "only interleaved_1f1b has a choice"));
    }
    result.virtual_stages = own;
}

std::vector<StageLayout> place(const ConfigNode& plan, const ModelSpec& model,
                               std::int64_t stages) {
    const auto list = plan.find("stages");
    const auto rule = plan.find("placement");
    if (list && rule) {
        list->fail(
            "must not stand beside plan.placement: leave one out (plan.placement=null keeps the "
            "stages, plan.stages=null the rule)");
    }
    if (list) {
        std::vector<StageLayout> layout = read_stages(*list, model);
        if (static_cast<std::int64_t>(layout.size()) != stages) {
            plan.at("stages").fail(
                fmt::format("has {} stages, must have the {} of pp and schedule (or name a "
                            "placement instead)",
                            layout.size(), stages));
        }
        return layout;
    }
    if (!rule || rule->as_string() == "even") return default_stages(model, stages);
    if (rule->as_string() == "deepseek_v3") return front_loaded_stages(model, stages);
    rule->refuse("must be even or deepseek_v3");
}

// "0-3,60": layers and ranges of layers.
std::vector<std::int32_t> read_layers(const ConfigNode& node, std::size_t layers) {
    const std::string text = node.as_string();
    const char *at = text.data(), *const end = at + text.size();
    std::vector<std::int32_t> result;
    const auto number = [&] {
        std::int32_t value = 0;
        const auto [next, error] = std::from_chars(at, end, value);
        if (error != std::errc{} || value < 0) {
            node.refuse("must be layers such as \"4-7\" or \"0,3-5\"");
        }
        if (static_cast<std::size_t>(value) >= layers) {
            node.fail(fmt::format("layer {} must be less than {}", value, layers));
        }
        at = next;
        return value;
    };
    while (true) {
        const std::int32_t first = number();
        std::int32_t last = first;
        if (at != end && *at == '-') ++at, last = number();
        if (last < first) node.fail(fmt::format("range {}-{} must not fall", first, last));
        for (std::int32_t i = first; i <= last; ++i) result.push_back(i);
        if (at == end) return result;
        if (*at++ != ',') node.refuse("must be layers such as \"4-7\" or \"0,3-5\"");
    }
}

}  // namespace

std::vector<StageLayout> read_stages(const ConfigNode& stages, const ModelSpec& model) {
    std::vector<StageLayout> result;
    for (const ConfigNode& element : stages.elements()) {
        StageLayout stage;
        if (const auto flag = element.find("embedding")) stage.embedding = flag->as_bool();
        if (const auto list = element.find("layers")) {
            stage.layers = read_layers(*list, model.layers.size());
        }
        if (const auto modules = element.find("mtp")) {
            stage.mtp_modules = static_cast<std::int32_t>(modules->as_integer(0, 64));
        }
        if (const auto flag = element.find("head")) stage.head = flag->as_bool();
        element.reject_unknown_keys();
        result.push_back(std::move(stage));
    }
    return result;
}

ParallelPlan read_plan(const ConfigNode& plan, const ModelSpec& model) {
    ParallelPlan result;
    result.tp = degree(plan, "tp");
    result.pp = degree(plan, "pp");
    result.dp = degree(plan, "dp");
    result.ep = degree(plan, "ep");
    result.cp = degree(plan, "cp");
    if (const auto size = plan.find("micro_batch_size")) {
        result.micro_batch_size = size->as_integer(1, most_ranks);
    }
    read_schedule(plan, result);
    result.precision = read_precision(plan);
    result.recompute = read_recompute(plan);
    if (const auto zero = plan.find("zero_stage")) result.zero_stage = zero->as_integer(0, 1);
    if (const auto memory = plan.find("framework_memory")) {
        result.framework_memory =
            memory->is_object()
                ? memory->as_sourced<Bytes>()
                : Sourced<Bytes>{memory->as_quantity<Bytes>(), {Origin::given, memory->place()}};
    }
    const std::int64_t stages = stage_count(result);
    if (stages > static_cast<std::int64_t>(model.layers.size())) {
        plan.at(plan.has("pp") ? "pp" : "virtual_stages")
            .fail(fmt::format("gives {} stages, must give at most the model's {} layers", stages,
                              model.layers.size()));
    }
    result.stages = place(plan, model, stages);
    return result;
}

}  // namespace orrery
