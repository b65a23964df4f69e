// The "pools" block of a serving scenario: engines of one kind under a name each.
#include <algorithm>

#include "core/error.hpp"
#include "model/accounting.hpp"
#include "serving/kv_share.hpp"
#include "serving/read_deployment.hpp"
#include "study/serving_reader.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kMostEngines = 100'000;
constexpr std::int64_t kMostTokens = 1'000'000'000'000;

// An absent block reads as an empty one.
ConfigNode block_or_empty(const ConfigNode& parent, const std::string& key) {
    if (const auto node = parent.find(key)) return *node;
    ConfigNode copy = parent;
    copy.set(key, "{}");
    return copy.at(key);
}

// The set that a pool names; vllm_like where it names none.
const PolicyKind& policy_kind(const ConfigNode& block) {
    const auto node = block.find("policy");
    if (!node) return *find_policy("vllm_like");
    const ConfigNode name = node->is_object() ? node->at("like") : *node;
    const PolicyKind* kind = find_policy(name.as_string());
    if (kind == nullptr) {
        std::string names;
        for (const PolicyKind& k : policy_kinds()) {
            names += fmt::format("{}{}", names.empty() ? "" : ", ", k.policy.name);
        }
        name.refuse("must be one of " + names);
    }
    return *kind;
}

// Budgets are the pool's: its memory is sized for them. A policy may take fewer sequences.
BatchPolicy read_policy(ServingReader& reader, const ConfigNode& block, const DeployedPool& pool) {
    ConfigNode holder = block;
    if (!block.has("policy")) holder.set("policy", "\"vllm_like\"");
    const ConfigNode node = block.has("policy") ? block.at("policy") : holder.at("policy");
    BatchPolicy policy = policy_on(policy_kind(block), pool.engine);
    // Settings are noted under the pool also where the policy is given by its name alone.
    if (!node.is_object()) holder.set("policy", "{}");
    const ConfigNode values = node.is_object() ? node : holder.at("policy");
    reader.note_text(values, "like", policy.name);
    policy.mix = static_cast<BatchMix>(
        reader.choice(values, "mix", static_cast<std::size_t>(policy.mix), {"together", "apart"}));
    policy.first = static_cast<BatchFirst>(reader.choice(
        values, "first", static_cast<std::size_t>(policy.first), {"decode", "prefill"}));
    const bool fills_budget = policy.chunk_tokens == policy.token_budget;
    if (pool.prefill_tokens > 0) policy.token_budget = pool.prefill_tokens;
    if (fills_budget) policy.chunk_tokens = policy.token_budget;
    policy.chunk_tokens =
        reader.integer(values, "chunk_tokens", std::min(policy.chunk_tokens, policy.token_budget),
                       0, policy.token_budget);
    if (pool.decode_sequences > 0) {
        policy.max_sequences = std::min(policy.max_sequences, pool.decode_sequences);
    }
    policy.max_prompts = reader.integer(values, "max_prompts", policy.max_prompts, 0, 1'000'000);
    policy.max_sequences = reader.integer(values, "max_sequences", policy.max_sequences, 1,
                                          std::max(policy.max_sequences, pool.decode_sequences));
    policy.prefill_interval =
        reader.integer(values, "prefill_interval", policy.prefill_interval, 0, 1'000'000);
    policy.static_batch = reader.flag(values, "static_batch", policy.static_batch);
    policy.order = static_cast<AdmissionOrder>(reader.choice(
        values, "order", static_cast<std::size_t>(policy.order), {"fcfs", "priority", "slo"}));
    policy.memory = static_cast<MemoryRule>(
        reader.choice(values, "memory", static_cast<std::size_t>(policy.memory),
                      {"on_demand", "reserve", "predicted_peak"}));
    policy.watermark = reader.number(values, "watermark", policy.watermark, 0, 0.9);
    policy.reserve_ratio = reader.number(values, "reserve_ratio", policy.reserve_ratio, 0, 1);
    policy.reserve_floor = reader.number(values, "reserve_floor", policy.reserve_floor, 0, 1);
    policy.reserve_steps = reader.number(values, "reserve_steps", policy.reserve_steps, 1, 1e9);
    policy.preemption = static_cast<Preemption>(reader.choice(
        values, "preemption", static_cast<std::size_t>(policy.preemption), {"recompute", "swap"}));
    policy.hold_after_preemption =
        reader.flag(values, "hold_after_preemption", policy.hold_after_preemption);
    policy.prefix_cache = reader.flag(values, "prefix_cache", policy.prefix_cache);
    policy.cpu_time =
        reader.sourced<Seconds>(values, "cpu_time", policy.cpu_time,
                                fmt::format("CPU time of an iteration ({})", policy.name));
    policy.cpu_overlapped = reader.flag(values, "cpu_overlapped", policy.cpu_overlapped);
    if (node.is_object()) node.reject_unknown_keys();
    return policy;
}

// Time to move a token's KV; slower than 0.1 s no run would end.
SimDuration token_time(double bytes_per_token, BytesPerSecond rate, const ConfigNode& node) {
    const Seconds time = Bytes(bytes_per_token) / rate;
    if (time.value() > 0.1) {
        node.fail(fmt::format("must move a token's {:.0f} B in at most 0.1 s", bytes_per_token));
    }
    return to_sim_duration(time);
}

// A lower tier: its size and rates for one attention group. Lanes divide its memory.
KvTier read_tier(ServingReader& reader, const ConfigNode& block, const char* name,
                 double bytes_per_token, std::int64_t lanes) {
    const auto tier = block.find(name);
    if (!tier) return {};
    const auto memory = reader.quantity<Bytes>(*tier, "memory");
    const auto bandwidth = reader.quantity<BytesPerSecond>(*tier, "bandwidth");
    if (!memory) tier->fail("must have memory: of one attention group");
    if (!bandwidth) tier->fail("must have bandwidth: into the memory of one attention group");
    const auto write = reader.quantity<BytesPerSecond>(*tier, "write_bandwidth");
    if (!(memory->value() > 0)) tier->at("memory").fail("must be above 0");
    tier->reject_unknown_keys();
    const SimDuration load = token_time(bytes_per_token, *bandwidth, tier->at("bandwidth"));
    return {static_cast<std::int64_t>(memory->value() / bytes_per_token) / lanes, load,
            write ? token_time(bytes_per_token, *write, tier->at("write_bandwidth")) : load};
}

// Tokens of the policy's share of the memory, or of another one of its kind. The settings used name
// the tokens.
std::int64_t tokens_of_share(const ConfigNode& block, const BatchPolicy& policy,
                             const DeployedPool& deployed) {
    KvShare share = policy.kv;
    const auto node = block.find("memory_share");
    if (node) {
        if (block.has("tokens")) node->fail("must not stand beside tokens");
        const double value = node->as_quantity<Ratio>().value();
        if (!(value > 0 && value <= 1)) node->fail("must be above 0 and at most 1");
        (share.of_free < 1 ? share.of_free : share.of_all) = value;
    }
    const std::int64_t tokens = kv_tokens(share, deployed);
    if (tokens < 1 && !block.has("tokens")) {
        block.fail(
            fmt::format("the share of the memory that {} gives weights and KV cache leaves "
                        "no token: memory_share must be more, or tokens named",
                        policy.name));
    }
    return tokens;
}

void read_kv(ServingReader& reader, const ConfigNode& pool, const DeployedPool& deployed,
             PoolSpec& spec, std::int64_t block_tokens) {
    const ConfigNode block = block_or_empty(pool, "kv");
    const EngineSpec& engine = deployed.engine;
    KvSpec& kv = spec.group.kv;
    const double bytes =
        static_cast<double>(kv_bytes_per_token(engine.model, engine.plan.key_value_bits / 8));
    kv.page_tokens = reader.integer(block, "page_tokens", spec.group.policy.page_tokens, 1, 65536);
    const std::int64_t tokens = reader.integer(
        block, "tokens", tokens_of_share(block, spec.group.policy, deployed), 1, kMostTokens);
    const std::int64_t most = kv_tokens(KvShare{}, deployed);
    if (tokens > most) {
        block.at("tokens").refuse(
            fmt::format("must be at most {}: what weights, buffers and runtime leave", most));
    }
    kv.pages = tokens / spec.lanes / kv.page_tokens;
    if (kv.pages < 1)
        block.fail(
            fmt::format("a page of {} tokens must fit into the cache, of {} on each pipeline stage",
                        kv.page_tokens, tokens / spec.lanes));
    if (spec.group.policy.prefix_cache && block_tokens > 0) {
        if (block_tokens % kv.page_tokens != 0) {
            block.fail(fmt::format("page_tokens = {} must divide the workload's blocks of {}",
                                   kv.page_tokens, block_tokens));
        }
        kv.block_tokens = block_tokens;
    }
    kv.host = read_tier(reader, block, "host", bytes, spec.lanes);
    kv.ssd = read_tier(reader, block, "ssd", bytes, spec.lanes);
    if (kv.host.tokens > 0 || kv.ssd.tokens > 0) {
        kv.write_through = reader.choice(block, "write", spec.group.policy.write_through ? 1 : 0,
                                         {"back", "through"}) == 1;
    } else if (const auto write = block.find("write")) {
        write->fail("is of lower tiers, of which there are none");
    }
    if (const auto store = reader.quantity<BytesPerSecond>(block, "store_bandwidth")) {
        spec.group.store_per_token = token_time(bytes, *store, block.at("store_bandwidth"));
    }
    block.reject_unknown_keys();
}

// How many of the drafts of each position are accepted: one figure a draft.
void read_acceptance(ServingReader& reader, const ConfigNode& pool, std::int64_t drafts,
                     PoolSpec& spec) {
    const auto node = pool.find("acceptance");
    if (!node) {
        if (drafts > 0 && spec.role != EngineRole::prefill) {
            pool.fail(fmt::format("must have acceptance: {} drafts a step are verified", drafts));
        }
        return;
    }
    std::string list;
    const auto elements = node->elements();
    if (static_cast<std::int64_t>(elements.size()) != drafts) {
        node->fail(fmt::format("must have as many figures as there are drafts, {}", drafts));
    }
    for (const ConfigNode& element : elements) {
        const double a = element.as_quantity<Ratio>().value();
        if (!(a >= 0 && a <= 1)) element.fail("must be from 0 to 1");
        spec.group.speculation.acceptance.push_back(a);
        list += fmt::format("{}{}", list.empty() ? "" : ", ", a);
    }
    reader.note(pool, "acceptance", "[" + list + "]");
    reader.result.sources.push_back({fmt::format("acceptance of drafts ({})", spec.name),
                                     list,
                                     {Origin::given, node->place()}});
    spec.group.speculation.seed =
        static_cast<std::uint64_t>(reader.integer(pool, "seed", 1, 0, INT64_MAX));
}

void read_autoscale(ServingReader& reader, const ConfigNode& pool, PoolSpec& spec) {
    const auto block = pool.find("autoscale");
    if (!block) return;
    Autoscale& rule = spec.autoscale;
    rule.on = true;
    rule.least = reader.integer(*block, "min", 1, 1, kMostEngines);
    rule.most = reader.integer(*block, "max", spec.engines, spec.engines, kMostEngines);
    if (rule.least > rule.most) block->at("min").fail("must be at most max");
    rule.interval = reader.duration(*block, "interval", to_sim_duration(Seconds(30)));
    rule.waiting_above = reader.number(*block, "waiting_above", 4, 0, 1e6);
    rule.use_below = reader.number(*block, "use_below", 0.3, 0, 1);
    if (rule.interval.ps <= 0) block->at("interval").fail("must be above 0");
    block->reject_unknown_keys();
}

std::optional<BytesPerSecond> read_rate(ServingReader& reader, const ConfigNode& block,
                                        const char* key, const char* title) {
    if (!block.has(key)) return std::nullopt;
    return reader.sourced<BytesPerSecond>(block, key, {}, title).value;
}

WeightConversion read_conversion(ServingReader& reader, const ConfigNode& block,
                                 const EngineSpec& engine) {
    const auto conversion = static_cast<WeightConversion>(
        reader.choice(block, "convert", 0, {"none", "on_load", "offline"}));
    if (conversion == WeightConversion::none) return conversion;
    const ConfigNode node = block.at("convert");
    if (engine.model.weight_format != "fp8_block") {
        node.fail("must be none: the model is not stored in FP8");
    }
    if (engine.plan.precision != Precision::bf16) {
        node.fail(
            fmt::format("must be none: FP8 is converted for engines of precision bf16, this "
                        "one's is {}",
                        to_string(engine.plan.precision)));
    }
    return conversion;
}

// What an engine does before it serves; of pools that autoscale or whose engines fail.
void read_startup(ServingReader& reader, const ConfigNode& pool, const DeployedPool& deployed,
                  PoolSpec& spec) {
    const bool given = pool.has("startup");
    if (!given && !spec.autoscale.on) return;
    const ConfigNode block = block_or_empty(pool, "startup");
    StartupInputs inputs;
    const auto warm_up =
        reader.sourced<Seconds>(block, "warm_up", default_warm_up(), "warm-up of a started engine");
    if (warm_up.value.value() > 9e6) block.at("warm_up").fail("must be at most 9e6 s");
    inputs.warm_up = to_sim_duration(warm_up.value);
    inputs.conversion = read_conversion(reader, block, deployed.engine);
    const auto storage = read_rate(reader, block, "storage_bandwidth", "storage of a node");
    const auto store = read_rate(reader, block, "store_bandwidth", "store of weights");
    const auto write = read_rate(reader, block, "write_bandwidth", "storage of a node, writing");
    const bool offline = inputs.conversion == WeightConversion::offline;
    if (offline && !(storage && write)) {
        block.fail(
            "must have storage_bandwidth and write_bandwidth: offline conversion reads and "
            "writes all weights");
    }
    if (write && !offline) block.at("write_bandwidth").fail("is of offline conversion");
    inputs.storage = storage.value_or(BytesPerSecond(0));
    inputs.store = store.value_or(BytesPerSecond(0));
    inputs.write = write.value_or(BytesPerSecond(0));
    block.reject_unknown_keys();
    spec.startup = plan_startup(deployed, inputs);
}

void read_router(ServingReader& reader, const ConfigNode& pool, PoolSpec& spec) {
    Router& router = spec.router;
    router.kind = static_cast<RouterKind>(reader.choice(
        pool, "router", 1, {"round_robin", "least_loaded", "prefix_aware", "kv_aware"}));
    router.cache_threshold = reader.number(pool, "cache_threshold", 0.5, 0, 1);
    router.imbalance = reader.number(pool, "imbalance", 1.5, 1, 1e6);
    router.overlap_weight = reader.number(pool, "overlap_weight", 1, 0, 1e6);
    spec.balance = static_cast<GroupBalance>(
        reader.choice(pool, "group_balance", 1, {"round_robin", "least_tokens"}));
}

void read_pool(ServingReader& reader, const ConfigNode& block, const DeployedPool& deployed,
               std::int64_t block_tokens) {
    const EngineSpec& engine = deployed.engine;
    PoolSpec spec;
    spec.name = deployed.name;
    spec.role = deployed.role;
    spec.group.decodes = spec.role != EngineRole::prefill;
    spec.engines = deployed.engines;
    spec.groups = engine.plan.dp;
    spec.lanes = engine.plan.pp;
    spec.gpus_per_engine = engine.plan.ranks();
    spec.gpus_per_group = engine.plan.tp;
    spec.group.policy = read_policy(reader, block, deployed);
    spec.group.ttft_objective = reader.result.deployment.slo.ttft;
    read_acceptance(reader, block, engine.draft_tokens, spec);
    read_kv(reader, block, deployed, spec, block_tokens);
    read_router(reader, block, spec);
    read_autoscale(reader, block, spec);
    read_startup(reader, block, deployed, spec);
    block.reject_unknown_keys();
    for (const PoolSpec& before : reader.result.deployment.pools) {
        const std::int64_t most = before.autoscale.on ? before.autoscale.most : before.engines;
        spec.first_rank =
            before.first_rank + static_cast<std::uint32_t>(most * before.gpus_per_engine);
    }
    reader.result.timers.push_back(std::make_unique<IterationTime>(engine));
    reader.result.memos.push_back(
        std::make_unique<TimerMemo>(AnyTimer(*reader.result.timers.back())));
    spec.timer = AnyTimer(*reader.result.memos.back());
    reader.result.deployment.pools.push_back(std::move(spec));
}

// Prefill and decode apart go together: whoever makes the KV cache hands it over.
void check_roles(const ConfigNode& block, const Deployment& engines) {
    const bool prefill = engines.find(EngineRole::prefill) != nullptr;
    const bool decode = engines.find(EngineRole::decode) != nullptr;
    if (prefill == decode) return;
    throw InputError(fmt::format("{}: there is a {} pool: must have a {} pool too",
                                 block.place("pools"), prefill ? "prefill" : "decode",
                                 prefill ? "decode" : "prefill"));
}

}  // namespace

void read_pools(ServingReader& reader) {
    const ConfigNode& document = reader.scenario.document;
    const ConfigNode engines = document.at("deployment");
    const ConfigNode block = block_or_empty(document, "scheduling");
    const auto limits = [&block](const std::string& name, const EngineSpec& engine) {
        const auto pool = block.find(name);
        const BatchPolicy policy =
            policy_on(pool ? policy_kind(*pool) : *find_policy("vllm_like"), engine);
        // The low-latency all-to-all has buffers for every sequence of the group at each expert.
        const bool buffers = engine.plan.dp > 1 && engine.low_latency_decode;
        return PoolLimits{
            policy.token_budget,
            buffers ? std::min<std::int64_t>(policy.max_sequences, 256) : policy.max_sequences};
    };
    reader.result.engines = read_deployment(engines, reader.result.model, reader.result.accelerator,
                                            reader.result.cluster, limits);
    reader.used.set("deployment", engines.dump(-1));
    check_roles(engines, reader.result.engines);
    const std::int64_t block_tokens = reader.result.open_workload().block_tokens;
    for (const DeployedPool& pool : reader.result.engines.pools) {
        if (pool.name.empty() || pool.name.find('.') != std::string::npos) {
            engines.at("pools").refuse("names must not be empty and have no dot");
        }
        read_pool(reader, block_or_empty(block, pool.name), pool, block_tokens);
    }
    block.reject_unknown_keys();
}

}  // namespace orrery
