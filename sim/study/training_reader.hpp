#pragma once
// What the readers of a training scenario's blocks share. Internal to study.

#include <cstdint>
#include <filesystem>
#include <string>

#include "study/scenario.hpp"
#include "study/training_scenario.hpp"

namespace orrery {

inline constexpr std::int64_t kMostGpus = 1'000'000;

// A scenario being read, with the trail of the inputs it states.
struct TrainingReader {
    const Scenario& scenario;
    const std::filesystem::path& profiles;
    TrainingScenario result;

    TrainingSpec& spec() { return result.spec; }
    std::int64_t gpus() const {
        const ClusterProfile& cluster = result.spec.cluster;
        return static_cast<std::int64_t>(cluster.nodes.value.value() *
                                         cluster.gpus_per_node.value.value());
    }
    void state(const std::string& name, const std::string& value, const Provenance& from) {
        result.sources.push_back({name, value, from});
    }
};

// Where a plain value of the scenario comes from.
inline Provenance given_at(const ConfigNode& node) { return {Origin::given, node.place()}; }

// The "cluster" block: profile, overrides, slow ranks.
void read_cluster(TrainingReader& reader);
// The "routing" and "network" blocks.
void read_routing(TrainingReader& reader);
void read_network(TrainingReader& reader);

}  // namespace orrery
