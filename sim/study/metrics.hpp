#pragma once
// The metrics a run may answer with: name, unit and title stand here once.

#include <string>
#include <string_view>
#include <vector>

#include "core/config.hpp"
#include "core/run_result.hpp"

namespace orrery {

struct MetricKind {
    std::string_view name;   // key in result.json
    std::string_view unit;   // base unit of its value
    std::string_view title;  // for people
};

// In print order.
const std::vector<MetricKind>& metric_kinds();
// nullptr where there is no such metric.
const MetricKind* find_metric_kind(std::string_view name);
// Throws std::logic_error for a name that metric_kinds() does not list.
Metric make_metric(std::string_view name, double value, Origin origin);

// A figure with its unit, in the metric's base unit: "19.926 s", "272.8e9 tokens/day", "38.94 %",
// "2664e3 h". Throws InputError naming the node.
double read_figure(const ConfigNode& node, const MetricKind& kind);

// The `published` block of a scenario: [{"metric", "value", "citation", "id", "note",
// "calibration"}]. Figures marked as calibration set constants of the model: they are shown beside
// it and not counted among its errors.
std::vector<PublishedFigure> read_published(const ConfigNode& node);

}  // namespace orrery
