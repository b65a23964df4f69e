#include "serving/policy.hpp"

#include "serving/policy_sets.hpp"

namespace orrery {

Sourced<Seconds> assumed_cpu(double milliseconds) {
    return {
        Seconds(milliseconds * 1e-3),
        {Origin::assumed,
         "a round number, nobody's measurement of a whole iteration. Published around it: vLLM "
         "before 0.6 spent 29 % of its time on scheduling beside 38 % on the GPU, Llama-3-8B on "
         "an H100 (vLLM blog, 2024-09-05), and its GPU waited 4 ms a decode step "
         "(vllm-project/vllm issue 6854); V1's scheduler takes 0.2 ms, states and inputs 0.23 ms "
         "more (pull request 42131), outputs of 128 sequences 0.14 ms (46112), copies and "
         "processes' messages not counted; Srivatsa et al., "
         "mlsys.wuklab.io/posts/scheduling_overhead (2024): from a few percent to over half of "
         "an iteration"}};
}

const std::vector<PolicyKind>& policy_kinds() {
    static const std::vector<PolicyKind> kinds = {
        sglang_like(),   vllm_like(),   trtllm_like(),        lmdeploy_like(),
        lightllm_like(), mindie_like(), deepseek_infer_demo()};
    return kinds;
}

const PolicyKind* find_policy(std::string_view name) {
    for (const PolicyKind& kind : policy_kinds()) {
        if (kind.policy.name == name) return &kind;
    }
    return nullptr;
}

BatchPolicy policy_on(const PolicyKind& kind, const EngineSpec& engine) {
    BatchPolicy policy = kind.policy;
    if (kind.fit != nullptr) kind.fit(policy, engine);
    return policy;
}

}  // namespace orrery
