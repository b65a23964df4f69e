#pragma once
// The shortest times a request can have on an engine with nothing else to do: a floor under what
// any number of engines can promise (size_bounds.hpp).

#include <string>

#include "serving/deadline.hpp"
#include "serving/offered_work.hpp"
#include "serving/work_prices.hpp"

namespace orrery {

// How lengths are spread over the requests that fit: counts, and the lengths at which they lie.
// Sketches hold tokens for picoseconds.
struct LengthSpread {
    std::int64_t requests = 0;     // all
    std::int64_t not_fitting = 0;  // of them
    DurationSketch least;          // prompt tokens that no cache holds
    DurationSketch decoded;        // prompts of requests with more than one token of output
    DurationSketch outputs;
    void add(const RequestWork& work);
};
// A length (a little less, by the sketch's error) that more than `misses` samples reach; 0: fewer
// samples.
std::int64_t reached_by_more_than(const DurationSketch& lengths, std::int64_t misses);

// Time to the first token of a prompt of which `tokens` are computed, on an engine of its own.
double prompt_alone(const PoolSpec& pool, std::int64_t tokens);
// Shortest mean time between two tokens of a request with such a prompt.
double token_alone(const PoolSpec& pool, std::int64_t prompt);

// Why no number of engines keeps the deadline; empty where one might.
std::string why_impossible(const ClusterSpec& spec, const Deadline& deadline,
                           const LengthSpread& lengths);

}  // namespace orrery
