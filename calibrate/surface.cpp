#include "calibrate/surface.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "calibrate/statistics.hpp"

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

}  // namespace orrery::calibrate
