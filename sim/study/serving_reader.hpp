#pragma once
// What the readers of a serving scenario's blocks share: values with defaults and bounds, each
// noted among the settings used. Internal to study.

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "study/serving_scenario.hpp"

namespace orrery {

struct ServingReader {
    const Scenario& scenario;
    const std::filesystem::path& profiles;
    ServingScenario result = {};
    ConfigNode used = ConfigNode::parse("{}", "used settings");

    static std::string path_of(const ConfigNode& block, std::string_view key) {
        return block.path().empty() ? std::string(key) : fmt::format("{}.{}", block.path(), key);
    }
    void note(const ConfigNode& block, std::string_view key, const std::string& json) {
        used.set(path_of(block, key), json);
    }
    void note_text(const ConfigNode& block, std::string_view key, std::string_view text) {
        used.set_text(path_of(block, key), std::string(text));
    }

    std::int64_t integer(const ConfigNode& block, std::string_view key, std::int64_t otherwise,
                         std::int64_t at_least, std::int64_t at_most) {
        const auto node = block.find(key);
        const std::int64_t value = node ? node->as_integer(at_least, at_most) : otherwise;
        note(block, key, std::to_string(value));
        return value;
    }
    double number(const ConfigNode& block, std::string_view key, double otherwise, double at_least,
                  double at_most) {
        const auto node = block.find(key);
        const double value = node ? node->as_quantity<Ratio>().value() : otherwise;
        if (node && !(value >= at_least && value <= at_most)) {
            node->refuse(fmt::format("must be from {} to {}", at_least, at_most));
        }
        note(block, key, fmt::format("{}", value));
        return value;
    }
    bool flag(const ConfigNode& block, std::string_view key, bool otherwise) {
        const auto node = block.find(key);
        const bool value = node ? node->as_bool() : otherwise;
        note(block, key, value ? "true" : "false");
        return value;
    }
    // One of `names`; its index.
    std::size_t choice(const ConfigNode& block, std::string_view key, std::size_t otherwise,
                       std::initializer_list<std::string_view> names) {
        const auto node = block.find(key);
        const std::size_t chosen = node ? node->as_choice(names) : otherwise;
        note_text(block, key, names.begin()[chosen]);
        return chosen;
    }
    template <class Q>
    std::optional<Q> quantity(const ConfigNode& block, std::string_view key) {
        const auto node = block.find(key);
        if (!node) return std::nullopt;
        const Q value = node->as_quantity<Q>();
        note_text(block, key, node->as_string());
        return value;
    }
    SimDuration duration(const ConfigNode& block, std::string_view key,
                         SimDuration otherwise = {}) {
        const auto value = quantity<Seconds>(block, key);
        if (!value) {
            note_text(block, key, fmt::format("{} s", to_seconds(otherwise).value()));
            return otherwise;
        }
        return time_within_range(block.at(key));
    }
    static SimDuration time_within_range(const ConfigNode& node) {
        const auto value = node.as_quantity<Seconds>();
        if (value.value() > 9e6) node.refuse("must be at most 9e6 s");
        return to_sim_duration(value);
    }
    // A number with an origin: plain (given) or stated. It is listed among the sources.
    template <class Q>
    Sourced<Q> sourced(const ConfigNode& block, std::string_view key, Sourced<Q> otherwise,
                       std::string_view title) {
        const auto node = block.find(key);
        Sourced<Q> value = std::move(otherwise);
        if (node) {
            value = node->is_object()
                        ? node->as_sourced<Q>()
                        : Sourced<Q>{node->as_quantity<Q>(), {Origin::given, node->place()}};
        }
        const std::string path = path_of(block, key);
        used.set_text(path + ".value", to_text(value.value, 6));
        used.set_text(path + ".origin", std::string(to_string(value.from.origin)));
        used.set_text(path + ".source", value.from.source);
        result.sources.push_back({std::string(title), to_text(value.value, 4), value.from});
        return value;
    }
};

// The "workload" block.
void read_workload(ServingReader& reader);
// The "deployment" and "scheduling" blocks: engines, their policies and KV caches, timers.
void read_pools(ServingReader& reader);
// "slo"; before the pools, whose admission looks at it.
void read_slo(ServingReader& reader);
// "handoff", "failures", "run"; after the pools.
void read_deployment(ServingReader& reader);

}  // namespace orrery
