#include "calibrate/surface.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "calibrate/statistics.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {

Table slowdown_surface(const std::vector<SlowdownSample>& samples, int most_cluster_ctas) {
    std::map<std::tuple<std::string, int, double>, std::vector<double>> points;
    for (const SlowdownSample& s : samples)
        if (s.cluster_ctas <= most_cluster_ctas)
            points[{s.operator_class, s.communication_sms, s.communication_gbps}].push_back(
                s.slowdown);
    Table table{"contention_surface",
                {"class", "communication_sms", "communication_GBps", "slowdown", "least", "largest",
                 "operators"},
                3,
                {}};
    for (const auto& [key, values] : points) {
        const auto [low, high] = std::minmax_element(values.begin(), values.end());
        table.rows.push_back({std::get<0>(key), double(std::get<1>(key)), std::get<2>(key),
                              summarize(values).median, *low, *high, double(values.size())});
    }
    return table;
}

Table medians(const Table& table, const std::string& name, const std::vector<std::string>& by,
              const std::string& value) {
    const auto column = [&](const std::string& wanted) {
        const auto at = std::find(table.columns.begin(), table.columns.end(), wanted);
        if (at == table.columns.end())
            throw InputError(fmt::format("table {}: no column {}", table.name, wanted));
        return std::size_t(at - table.columns.begin());
    };
    std::vector<std::size_t> keys;
    for (const std::string& wanted : by) keys.push_back(column(wanted));
    const std::size_t value_at = column(value);
    std::vector<std::pair<Row, std::vector<double>>> groups;
    for (const Row& row : table.rows) {
        Row key;
        for (const std::size_t k : keys) key.push_back(row[k]);
        auto at = std::find_if(groups.begin(), groups.end(),
                               [&](const auto& g) { return g.first == key; });
        if (at == groups.end()) at = groups.insert(groups.end(), {key, {}});
        at->second.push_back(std::get<double>(row[value_at]));
    }
    Table result{name, by, by.size(), {}};
    result.columns.insert(result.columns.end(), {value, "least", "largest", "operators"});
    for (const auto& [key, values] : groups) {
        const auto [low, high] = std::minmax_element(values.begin(), values.end());
        Row row = key;
        row.insert(row.end(), {summarize(values).median, *low, *high, double(values.size())});
        result.rows.push_back(row);
    }
    return result;
}

}  // namespace orrery::calibrate
