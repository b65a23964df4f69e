#pragma once
// How an engine fills its iterations: plain values that the attention group reads. The named sets
// resemble engines; each says which of the engine's rules it takes and which it leaves out.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/quantity.hpp"
#include "core/sourced.hpp"

namespace orrery {

struct EngineSpec;

// Whether chunks of prompts run in the same iteration as decode.
enum class BatchMix : std::uint8_t { together, apart };
enum class BatchFirst : std::uint8_t { decode, prefill };
// Who is admitted next: in order of arrival; the highest priority; in order of arrival, those that
// have missed the TTFT objective behind all others.
enum class AdmissionOrder : std::uint8_t { fcfs, priority, slo };
// Pages that must be left, beyond the prompt's, when a sequence is admitted:
//   on_demand       a watermark
//   reserve         reserve_ratio of what running sequences and this one may still need
//   predicted_peak  the greatest need at any later moment, lengths known, must fit
enum class MemoryRule : std::uint8_t { on_demand, reserve, predicted_peak };
enum class Preemption : std::uint8_t { recompute, swap };

// What an engine gives the KV cache of a GPU's memory:
//   free = of_all x memory - weights - runtime - (profiled ? activations and buffers : 0)
//   KV   = the least of   of_free x free,   what weights, runtime, activations and buffers leave,
//                         most_tokens
struct KvShare {
    double of_all = 1, of_free = 1;
    bool profiled = true;
    std::int64_t most_tokens = 0;  // of an attention group; 0: no limit of this kind
};

struct BatchPolicy {
    std::string name = {};
    BatchMix mix = BatchMix::together;
    BatchFirst first = BatchFirst::decode;
    std::int64_t token_budget = 8192;  // tokens an iteration; with mix = apart, of prompts only
    std::int64_t max_sequences = 256;  // running in one attention group
    // Of one prompt in an iteration; 0: prompts are not cut, and one above the budget runs alone.
    std::int64_t chunk_tokens = 8192;
    std::int64_t max_prompts = 0;  // that have a part in one iteration; 0: no limit
    // mix = apart, decode first: decode steps before prompts are let in; 0: none while any decodes.
    std::int64_t prefill_interval = 0;
    bool static_batch = false;  // nobody is admitted before all of a batch have ended
    AdmissionOrder order = AdmissionOrder::fcfs;
    MemoryRule memory = MemoryRule::on_demand;
    double watermark = 0.01;   // on_demand: share of all pages
    double reserve_ratio = 1;  // reserve: 1 never has to preempt
    double reserve_floor = 1;  // the ratio falls to it ...
    double reserve_steps = 1;  // ... over so many decode steps, and is reset by a preemption
    Preemption preemption = Preemption::recompute;
    // After a preemption nobody is admitted before a running sequence has ended.
    bool hold_after_preemption = true;
    bool prefix_cache = true;
    std::int64_t page_tokens = 64;
    KvShare kv = {};
    bool write_through =
        false;  // of lower tiers: KvSpec::write_through, where a scenario says none
    // Work on the CPU between two iterations; hidden behind the GPU's where cpu_overlapped.
    Sourced<Seconds> cpu_time = {Seconds(0), {Origin::assumed, "none"}};
    bool cpu_overlapped = false;
};

struct PolicyKind {
    BatchPolicy policy;
    std::string_view takes;       // rules of the engine it resembles
    std::string_view leaves_out;  // rules that are not modelled
    std::string_view source;      // of rules and defaults: repository, file, commit
    // Defaults that the engine chooses by the device and the plan; null: none.
    void (*fit)(BatchPolicy&, const EngineSpec&) = nullptr;
};

const std::vector<PolicyKind>& policy_kinds();
// nullptr where there is no such set.
const PolicyKind* find_policy(std::string_view name);
// The set's policy on an engine.
BatchPolicy policy_on(const PolicyKind& kind, const EngineSpec& engine);

}  // namespace orrery
