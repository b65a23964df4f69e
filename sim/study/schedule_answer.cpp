#include "study/schedule_answer.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "core/error.hpp"
#include "training/schedule_check.hpp"
#include "training/schedule_csv.hpp"
#include "training/schedule_draw.hpp"

namespace orrery {

namespace {

ScheduleAnswer answer(PipelineSchedule schedule, const PassCosts& costs) {
    check_schedule(schedule);
    ScheduleAnswer result{std::move(schedule), costs, {}, 0.0, {}, {}};
    result.timing = time_schedule(result.schedule, costs);
    result.worst_bubble =
        *std::max_element(result.timing.bubble.begin(), result.timing.bubble.end());
    result.closed_form = closed_form_bubble(result.schedule, costs);
    result.closed_form_text = closed_form_text(result.schedule);
    return result;
}

}  // namespace

PassCosts parse_pass_costs(std::string_view text) {
    constexpr std::array<std::string_view, 4> keys{"F", "B", "W", "FB"};
    std::array<std::optional<double>, 4> given;
    const auto refuse = [&](std::string_view part) {
        throw InputError(
            fmt::format("--cost {}: \"{}\": must be F=, B=, W= or FB= and a number "
                        ">= 0, each once, as in F=1,B=1,W=1,FB=2.5",
                        text, part));
    };
    std::string_view rest = text;
    while (true) {
        const std::string_view part = rest.substr(0, rest.find(','));
        const std::size_t equals = std::min(part.find('='), part.size());
        const auto key = std::find(keys.begin(), keys.end(), part.substr(0, equals));
        const std::string_view number = part.substr(std::min(equals + 1, part.size()));
        double value = -1.0;
        const auto [end, error] =
            std::from_chars(number.data(), number.data() + number.size(), value);
        const bool whole = error == std::errc{} && end == number.data() + number.size();
        if (key == keys.end() || !whole || !(value >= 0.0)) refuse(part);
        auto& slot = given[static_cast<std::size_t>(key - keys.begin())];
        if (slot) refuse(part);
        slot = value;
        if (part.size() == rest.size()) break;
        rest.remove_prefix(part.size() + 1);
    }
    PassCosts costs{given[0].value_or(1.0), given[1].value_or(1.0), given[2].value_or(1.0), 0.0};
    costs.forward_backward =
        given[3].value_or(costs.forward + costs.backward_input + costs.backward_weight);
    return costs;
}

ScheduleAnswer answer_schedule(std::string_view name, const ScheduleShape& shape,
                               const PassCosts& costs) {
    return answer(make_schedule(name, shape), costs);
}

ScheduleAnswer answer_schedule_file(std::string_view text, std::string_view file,
                                    const PassCosts& costs) {
    return answer(schedule_from_csv(text, file), costs);
}

std::string schedule_picture(const ScheduleAnswer& result, bool colour) {
    DrawOptions options;
    options.colour = colour;
    return draw_schedule(result.schedule, result.timing, options);
}

std::string schedule_file_text(const ScheduleAnswer& result) {
    return schedule_to_csv(result.schedule);
}

}  // namespace orrery
