#include "study/iteration_scenario.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "model/read_config.hpp"
#include "serving/read_deployment.hpp"
#include "study/cluster_block.hpp"

namespace orrery {

namespace {

constexpr std::int64_t kMost = 100'000'000;

void read_hardware(const ConfigNode& block, const std::filesystem::path& profiles,
                   IterationScenario& result) {
    result.cluster = read_cluster_profile(block, profiles);
    result.accelerator = read_accelerator(block, result.cluster, profiles);
    block.reject_unknown_keys();
}

std::int64_t integer(const ConfigNode& block, const char* key, std::int64_t missing,
                     std::int64_t least) {
    const auto node = block.find(key);
    return node ? node->as_integer(least, kMost) : missing;
}

void read_iteration(const ConfigNode& block, IterationScenario& result) {
    if (const auto node = block.find("pool")) {
        const std::string name = node->as_string();
        const auto& pools = result.deployment.pools;
        const auto found = std::find_if(pools.begin(), pools.end(),
                                        [&](const DeployedPool& p) { return p.name == name; });
        if (found == pools.end()) node->fail("must name one of the deployment's pools");
        result.pool = static_cast<std::size_t>(found - pools.begin());
    }
    const EngineSpec& engine = result.deployment.pools[result.pool].engine;
    Iteration& it = result.iteration;
    const std::int64_t prompts = integer(block, "prompts", 0, 0);
    if (prompts > 0) {
        it = prompts_of(prompts, block.at("length").as_integer(1, kMost),
                        integer(block, "cached", 0, 0));
    }
    const std::int64_t sequences = integer(block, "sequences", 0, 0);
    if (sequences > 0) {
        const Iteration more = decoding_of(sequences, block.at("context").as_integer(1, kMost),
                                           1 + engine.draft_tokens);
        it.decode_sequences = more.decode_sequences;
        it.decode_tokens = more.decode_tokens;
        it.decode_context = more.decode_context;
    }
    if (prompts + sequences == 0) block.fail("must have prompts or sequences");
    result.accepted_tokens = read_sourced<Ratio>(
        block, "accepted_tokens",
        {Ratio(1), {Origin::assumed, "one token a step: nothing drafted is accepted"}});
    const double most = static_cast<double>(1 + engine.draft_tokens);
    const double accepted = result.accepted_tokens.value.value();
    if (!(accepted >= 1 && accepted <= most)) {
        block.at("accepted_tokens")
            .fail(fmt::format("must be from 1 to {}, the tokens verified a step", most));
    }
    block.reject_unknown_keys();
}

}  // namespace

Iteration prompts_of(std::int64_t sequences, std::int64_t length, std::int64_t cached) {
    Iteration it;
    it.prefill_sequences = sequences;
    it.prefill_tokens = sequences * length;
    it.prefill_context = sequences * cached;
    it.prefill_pairs = sequences * (length * cached + length * (length + 1) / 2);
    return it;
}

Iteration decoding_of(std::int64_t sequences, std::int64_t context, std::int64_t verified) {
    Iteration it;
    it.decode_sequences = sequences;
    it.decode_tokens = sequences * verified;
    it.decode_context = sequences * context;
    return it;
}

IterationScenario read_iteration_scenario(const Scenario& scenario,
                                          const std::filesystem::path& profiles) {
    const ConfigNode& document = scenario.document;
    for (const char* key : {"base", "name", "kind", "description", "published"}) {
        if (const auto node = document.find(key)) node->accept_all();
    }
    IterationScenario result;
    result.model_file = resolve_file(document.at("model"), scenario.file);
    result.model = load_model(result.model_file);
    read_hardware(document.at("cluster"), profiles, result);
    result.deployment = read_deployment(document.at("deployment"), result.model, result.accelerator,
                                        result.cluster);
    read_iteration(document.at("iteration"), result);
    document.reject_unknown_keys();
    return result;
}

}  // namespace orrery
