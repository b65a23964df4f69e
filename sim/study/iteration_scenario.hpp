#pragma once
// A scenario of kind "iteration": one iteration of one pool of a deployment, over and over, with
// every request in the same state. No queue, no arrivals: what an engine does at a steady load.
//
//   model, cluster    as of a training scenario: cluster.profile, accelerator, kernels, nodes
//   deployment        serving/read_deployment.hpp
//   iteration         {"pool": its name; the first where missing,
//                      "prompts", "length", "cached"     new prompts of an attention group, new
//                                                        tokens of each, cached ones before them
//                      "sequences", "context",           that decode, KV tokens of each,
//                      "accepted_tokens"}                tokens a sequence gains a step; 1

#include <filesystem>

#include "serving/deployment.hpp"
#include "serving/iteration_time.hpp"
#include "study/scenario.hpp"

namespace orrery {

struct IterationScenario {
    std::filesystem::path model_file;
    ModelSpec model;
    AcceleratorProfile accelerator;
    ClusterProfile cluster;
    Deployment deployment;
    std::size_t pool = 0;
    Iteration iteration;
    Sourced<Ratio> accepted_tokens;
};

// Throws InputError naming file, key, value and rule.
IterationScenario read_iteration_scenario(const Scenario& scenario,
                                          const std::filesystem::path& profiles);

// `sequences` chunks of `length` new tokens behind `cached` ones each; decoding sequences.
Iteration prompts_of(std::int64_t sequences, std::int64_t length, std::int64_t cached);
Iteration decoding_of(std::int64_t sequences, std::int64_t context, std::int64_t verified);

}  // namespace orrery
