#include "model/parallel_plan.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

std::vector<StageLayout> stages_of(const ModelSpec& model, const std::vector<std::int64_t>& sizes) {
    std::vector<StageLayout> stages(sizes.size());
    std::int32_t layer = 0;
    for (std::size_t s = 0; s < sizes.size(); ++s) {
        for (std::int64_t i = 0; i < sizes[s]; ++i) stages[s].layers.push_back(layer++);
    }
    if (stages.empty()) return stages;
    stages.front().embedding = true;
    stages.back().head = true;
    stages.back().mtp_modules = static_cast<std::int32_t>(model.mtp_modules);
    return stages;
}

// Complaints about one plan, all of one form.
struct Checker {
    const ModelSpec& model;
    const ParallelPlan& plan;
    const ConfigNode& node;

    [[noreturn]] void fail(const char* key, std::int64_t value, const std::string& rule) const {
        throw InputError(fmt::format("{} = {}: {}", node.place(key), value, rule));
    }
    // `whole` must be divisible by plan.key = value.
    void divides(const char* key, std::int64_t value, std::int64_t whole, const char* what) const {
        if (whole % value != 0) fail(key, value, fmt::format("must divide {} {}", what, whole));
    }
};

void check_degrees(const Checker& c) {
    constexpr std::int64_t most_ranks = 1'000'000;
    const ParallelPlan& p = c.plan;
    std::int64_t ranks = 1;
    for (const auto& [key, value] : {std::pair{"tp", p.tp},
                                     {"pp", p.pp},
                                     {"cp", p.cp},
                                     {"dp", p.dp},
                                     {"ep", p.ep},
                                     {"micro_batch_size", p.micro_batch_size}}) {
        if (value < 1) c.fail(key, value, "must be >= 1");
        if (value > most_ranks) c.fail(key, value, fmt::format("must be <= {}", most_ranks));
        if (std::string_view(key) == "ep" || std::string_view(key) == "micro_batch_size") continue;
        ranks *= value;
        if (ranks > most_ranks) {
            c.fail(key, value, fmt::format("tp x pp x cp x dp must be <= {} GPUs", most_ranks));
        }
    }
    if (p.zero_stage < 0 || p.zero_stage > 1) c.fail("zero_stage", p.zero_stage, "must be 0 or 1");
}

void check_attention(const Checker& c, const AttentionSpec& attention) {
    c.divides("tp", c.plan.tp, attention.heads, "the attention heads,");
    const std::int64_t kv = attention.kv_heads;
    if (kv % c.plan.tp != 0 && c.plan.tp % kv != 0) {
        c.fail("tp", c.plan.tp,
               fmt::format("must divide the {} KV heads or be their multiple", kv));
    }
}

void check_layer(const Checker& c, const LayerSpec& layer) {
    check_attention(c, layer.attention);
    if (!layer.moe) {
        c.divides("tp", c.plan.tp, layer.dense_intermediate, "the MLP's features,");
        return;
    }
    c.divides("tp", c.plan.tp, layer.moe->expert_intermediate, "the experts' features,");
    c.divides("tp", c.plan.tp, layer.moe->shared_expert_intermediate,
              "the shared experts' features,");
    c.divides("ep", c.plan.ep, layer.moe->experts, "the number of experts,");
}

void check_experts(const Checker& c) {
    if (c.plan.ep == 1) return;
    const auto& layers = c.model.layers;
    if (std::none_of(layers.begin(), layers.end(), [](const LayerSpec& l) { return l.moe; })) {
        c.fail("ep", c.plan.ep, fmt::format("must be 1: {} has no experts", c.model.name));
    }
    c.divides("ep", c.plan.ep, c.plan.dp, "plan.dp =");
}

void check_sequence(const Checker& c, std::int64_t sequence_length) {
    const std::int64_t parts = c.plan.tp * c.plan.cp;  // sequence parallelism splits tokens by tp
    if (sequence_length % parts != 0) {
        c.fail(
            c.plan.cp > 1 ? "cp" : "tp", c.plan.cp > 1 ? c.plan.cp : c.plan.tp,
            fmt::format("tp x cp = {} must divide the sequence length {}", parts, sequence_length));
    }
}

std::string stage_key(std::size_t stage) { return fmt::format("stages[{}]", stage); }

void check_ends(const Checker& c) {
    const auto& stages = c.plan.stages;
    std::int64_t mtp = 0;
    for (std::size_t s = 0; s < stages.size(); ++s) {
        const bool first = s == 0, last = s + 1 == stages.size();
        if (stages[s].embedding != first) {
            c.fail((stage_key(s) + ".embedding").c_str(), stages[s].embedding,
                   first ? "must be true: the first stage starts with the embedding"
                         : "must be on the first stage only");
        }
        if (stages[s].head != last) {
            c.fail((stage_key(s) + ".head").c_str(), stages[s].head,
                   last ? "must be true: the last stage ends with the head"
                        : "must be on the last stage only");
        }
        if (stages[s].mtp_modules > 0 && !last) {
            c.fail((stage_key(s) + ".mtp").c_str(), stages[s].mtp_modules,
                   "must be on the last stage: it follows the last layer");
        }
        mtp += stages[s].mtp_modules;
    }
    if (mtp != 0 && mtp != c.model.mtp_modules) {
        c.fail((stage_key(stages.size() - 1) + ".mtp").c_str(), mtp,
               fmt::format("must be 0 or the model's {}", c.model.mtp_modules));
    }
}

void check_stages(const Checker& c) {
    const std::int64_t stages = stage_count(c.plan);
    const auto layers = static_cast<std::int64_t>(c.model.layers.size());
    if (stages > layers) {
        c.fail("pp", c.plan.pp,
               fmt::format("gives {} stages, must give at most the model's {} layers", stages,
                           layers));
    }
    if (static_cast<std::int64_t>(c.plan.stages.size()) != stages) {
        c.fail("stages", static_cast<std::int64_t>(c.plan.stages.size()),
               fmt::format("must be {} stages, as pp and schedule ask", stages));
    }
    std::int32_t next = 0;
    for (std::size_t s = 0; s < c.plan.stages.size(); ++s) {
        for (const std::int32_t layer : c.plan.stages[s].layers) {
            if (layer != next) {
                c.fail((stage_key(s) + ".layers").c_str(), layer,
                       fmt::format("must go on with layer {}: every layer once, in order", next));
            }
            ++next;
        }
    }
    if (next != layers) {
        c.fail((stage_key(c.plan.stages.size() - 1) + ".layers").c_str(), next - 1,
               fmt::format("must end with the model's last layer, {}", layers - 1));
    }
    check_ends(c);
}

}  // namespace

std::int64_t chunks_per_rank(const ParallelPlan& plan) {
    const std::string& name = plan.schedule;
    if (name == "dualpipe_v" || name == "zb_v") return 2;
    if (name == "interleaved_1f1b") return plan.virtual_stages > 1 ? plan.virtual_stages : 2;
    for (const char* single : {"gpipe", "1f1b", "zb1p", "dualpipe"}) {
        if (name == single) return 1;
    }
    return plan.virtual_stages;
}

std::int64_t stage_count(const ParallelPlan& plan) { return plan.pp * chunks_per_rank(plan); }

std::vector<StageLayout> default_stages(const ModelSpec& model, std::int64_t stages) {
    const auto layers = static_cast<std::int64_t>(model.layers.size());
    std::vector<std::int64_t> sizes;
    for (std::int64_t s = 0; s < stages; ++s) {
        sizes.push_back(layers / stages + (s < layers % stages ? 1 : 0));
    }
    return stages_of(model, sizes);
}

std::vector<StageLayout> front_loaded_stages(const ModelSpec& model, std::int64_t stages) {
    std::int64_t left = static_cast<std::int64_t>(model.layers.size());
    const std::int64_t most = (left + stages - 1) / stages;
    std::vector<std::int64_t> sizes;
    for (std::int64_t s = 0; s < stages; ++s) {
        const std::int64_t behind = stages - 1 - s;
        sizes.push_back(std::clamp<std::int64_t>(left - behind, 0, most));
        left -= sizes.back();
    }
    return stages_of(model, sizes);
}

void check_plan(const ModelSpec& model, const ParallelPlan& plan, std::int64_t sequence_length,
                const ConfigNode& node) {
    const Checker checker{model, plan, node};
    check_degrees(checker);
    for (const LayerSpec& layer : model.layers) check_layer(checker, layer);
    check_experts(checker);
    check_sequence(checker, sequence_length);
    check_stages(checker);
}

}  // namespace orrery
