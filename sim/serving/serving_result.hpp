#pragma once
// What a serving simulation answers.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"
#include "serving/kv_cache.hpp"
#include "serving/sketch.hpp"
#include "serving/time_series.hpp"

namespace orrery {

// STABLE: the queue does not grow while requests arrive, and requests wait less than they run.
// BACKLOGGED: it does not grow, but they wait longer than they run, or the end takes long to drain.
// OVERLOADED: it grows while requests arrive, or requests were turned away for its length.
// FAILING: most requests were lost because engines failed under them again and again.
enum class Verdict : std::uint8_t { stable, backlogged, overloaded, failing };
std::string_view to_string(Verdict verdict);

// Objectives; 0: none.
struct ServiceLevel {
    SimDuration ttft = {}, tpot = {}, e2e = {};
};

struct PoolResult {
    std::string name;
    std::int64_t iterations = 0;
    double busy_fraction = 0;         // of engine time, in iterations
    double prompt_fraction = 0;       // of the time in iterations; mixed ones are split by tokens
    double gpu_seconds = 0;           // GPUs x time they were held
    std::int64_t kv_tokens = 0;       // capacity of all engines at the start
    double kv_mean = 0, kv_peak = 0;  // share of capacity in use
    std::int64_t engines_peak = 0;
    std::int64_t kv_pages_total = 0;  // at the start
    std::vector<TimeSeries::Point> kv_pages, waiting, engines;
};

struct ServingResult {
    // Requests.
    std::int64_t arrived = 0, finished = 0;
    std::int64_t rejected_too_long = 0;    // never fit into a KV cache
    std::int64_t rejected_queue_full = 0;  // above ClusterSpec::most_waiting
    std::int64_t lost = 0;                 // gave up after ClusterSpec::most_retries failures
    std::int64_t unfinished = 0;           // under way at the time limit
    bool cut = false;                      // the time limit came before the last request ended
    std::int64_t failures = 0;             // of engines
    std::int64_t retries = 0;
    std::int64_t preemptions = 0;
    std::int64_t swaps = 0, swaps_refused = 0;  // to host memory; would have been, but it was full
    std::int64_t good = 0;                      // finished within the service level
    std::int64_t skipped_lines = 0;
    // Tokens.
    std::int64_t prompt_tokens = 0;                           // of finished requests
    std::int64_t output_tokens = 0;                           // of finished requests
    std::int64_t admitted_prompt_tokens = 0, hit_tokens = 0;  // hit rate = hit / admitted
    std::int64_t computed_prompt_tokens = 0;
    KvMoves moves;  // between tiers of KV caches
    // Times.
    SimTime last_arrival = {}, end = {};
    // ttft: arrival to first token. itl: between two deliveries to a user (a step that brings
    // several tokens is one). tpot: (last token - first token) / (tokens - 1). e2e: arrival to last
    // token. handoff: first token to place in the decode batch.
    DurationSketch ttft, itl, tpot, e2e, handoff;
    double mean_in_system = 0;  // requests, over time
    double mean_waiting = 0, mean_running = 0;
    Verdict verdict = Verdict::stable;
    std::string verdict_reason = {};
    std::vector<PoolResult> pools;
    std::vector<TimeSeries::Point> waiting, in_system;
    std::int64_t events = 0, iterations = 0;
    std::string fingerprint;

    double gpu_seconds() const {
        double sum = 0;
        for (const PoolResult& pool : pools) sum += pool.gpu_seconds;
        return sum;
    }
};

// From the queue over time: see Verdict.
void judge(ServingResult& result);

}  // namespace orrery
