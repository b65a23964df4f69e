#include "serving/check_engine.hpp"

#include <fmt/format.h>

namespace orrery {

namespace {

[[noreturn]] void fail_at(const ConfigNode& pool, const char* key, const std::string& rule) {
    if (const auto node = pool.find(key)) node->fail(rule);
    pool.fail(fmt::format("{}: {}", key, rule));
}

const MoeSpec* experts_of(const ModelSpec& model) {
    for (const LayerSpec& layer : model.layers) {
        if (layer.moe) return &*layer.moe;
    }
    return nullptr;
}

void check_attention(const EngineSpec& engine, const ConfigNode& pool) {
    const InferencePlan& plan = engine.plan;
    for (const LayerSpec& layer : engine.model.layers) {
        const AttentionSpec& a = layer.attention;
        if (a.heads % plan.tp != 0) {
            fail_at(pool, "tp", fmt::format("must divide the {} attention heads", a.heads));
        }
        if (!a.mla && a.kv_heads % plan.tp != 0 && plan.tp % a.kv_heads != 0) {
            fail_at(
                pool, "tp",
                fmt::format("must divide the {} KV heads or be a multiple of them", a.kv_heads));
        }
    }
    const auto layers = static_cast<std::int64_t>(engine.model.layers.size());
    if (plan.pp > layers) {
        fail_at(pool, "pp", fmt::format("must be at most the model's {} layers", layers));
    }
}

void check_experts(const EngineSpec& engine, const ConfigNode& pool, const MoeSpec& moe) {
    const InferencePlan& plan = engine.plan;
    const std::int64_t ranks = plan.tp * plan.dp;
    if (plan.ep <= plan.tp) {
        if (plan.tp % plan.ep != 0) {
            fail_at(pool, "ep", fmt::format("must divide tp = {} or be a multiple of it", plan.tp));
        }
        if (moe.expert_intermediate % (plan.tp / plan.ep) != 0) {
            fail_at(pool, "tp",
                    fmt::format("over ep must divide an expert's {} features",
                                moe.expert_intermediate));
        }
    } else if (plan.ep % plan.tp != 0 || ranks % plan.ep != 0) {
        fail_at(
            pool, "ep",
            fmt::format("must be a multiple of tp = {} that divides tp x dp = {}", plan.tp, ranks));
    }
    const std::int64_t slots = moe.experts + engine.routing.redundant;
    if (slots % plan.ep != 0) {
        // Where redundant experts were not asked for, the degree is what does not fit.
        const bool asked = pool.has("redundant_experts") && plan.ep <= moe.experts;
        fail_at(pool, asked ? "redundant_experts" : "ep",
                fmt::format("must let ep = {} divide {} experts and {} redundant ones, as "
                            "redundant_experts = {} would",
                            plan.ep, moe.experts, engine.routing.redundant,
                            plan.ep - 1 - (moe.experts - 1) % plan.ep));
    }
    if (engine.routing.redundant > 0 && !plan.all_to_all()) {
        fail_at(pool, "redundant_experts", "must be 0: experts lie inside one attention group");
    }
    if (!plan.all_to_all()) return;
    if (!engine.cluster.expert_costs) {
        fail_at(pool, "ep",
                fmt::format("must be at most tp = {}: cluster {} has no block expert_all_to_all",
                            plan.tp, engine.cluster.name));
    }
    const std::int64_t per_node = engine.gpus_per_node();
    if (plan.ep > per_node && plan.ep % per_node != 0) {
        fail_at(pool, "ep", fmt::format("must be a multiple of {} GPUs a node", per_node));
    }
}

}  // namespace

void check_engine(const EngineSpec& engine, const ConfigNode& pool) {
    check_attention(engine, pool);
    const InferencePlan& plan = engine.plan;
    const MoeSpec* moe = experts_of(engine.model);
    if (moe != nullptr) {
        check_experts(engine, pool, *moe);
    } else if (plan.ep > 1) {
        fail_at(pool, "ep", "must be 1: the model has no experts");
    } else if (engine.routing.redundant > 0) {
        fail_at(pool, "redundant_experts", "must be 0: the model has no experts");
    }
    if (engine.overlap != Overlap::none && !plan.all_to_all()) {
        fail_at(pool, "overlap", "must be \"none\": there is no expert all-to-all to hide");
    }
    const auto sms = static_cast<std::int32_t>(engine.accelerator.sms.value.value());
    if (engine.communication_sms >= sms) {
        fail_at(pool, "communication_sms", fmt::format("must be less than {} SMs", sms));
    }
}

}  // namespace orrery
