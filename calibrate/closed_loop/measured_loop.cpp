#include "calibrate/closed_loop/measured_loop.hpp"

#include <fmt/format.h>

#include "core/config.hpp"
#include "core/error.hpp"
#include "hardware/data_table.hpp"

namespace orrery::closed_loop {

using calibrate::Table;

Table wall_table() {
    return {"walls",
            {"run", "clock", "wall_us", "n_samples", "spread", "low_us", "high_us", "clock_MHz",
             "power_W"},
            2,
            {}};
}
Table operator_table() {
    return {"operators",
            {"run", "stream", "instruction", "operation", "name", "class", "kernels", "alone_us",
             "burst_us", "burst_step_us", "sustained_us", "sustained_step_us"},
            5,
            {}};
}
Table communication_table() {
    return {"communications", {"name", "given_us", "given_GBps", "achieved_GBps"}, 1, {}};
}

const MeasuredWall& MeasuredLoop::wall(const std::string& run, const std::string& clock) const {
    for (const MeasuredWall& w : walls) {
        if (w.run == run && w.clock == clock) return w;
    }
    throw InputError(fmt::format("tables.walls: has no row {}, {}", run, clock));
}

MeasuredLoop read_measured_loop(const std::filesystem::path& file) {
    const ConfigNode root = ConfigNode::load(file);
    const auto text = [&](const char* key) { return root.at(key).as_string(); };
    MeasuredLoop loop;
    loop.device = text("device");
    loop.date = text("date");
    loop.driver = text("driver");
    loop.library = text("library");
    loop.command = text("command");
    loop.commit = text("commit");
    const auto table = [&](const char* name) {
        return read_data_table(root.at("tables").at(name), name);
    };
    const auto cell = [](const DataTable& t, std::size_t row, const char* column) {
        return t.numbers[row][t.column(column)];
    };
    const DataTable walls = table("walls");
    for (std::size_t i = 0; i < walls.rows(); ++i) {
        loop.walls.push_back({walls.text(i, "run", ""), walls.text(i, "clock", ""),
                              cell(walls, i, "wall_us"), cell(walls, i, "spread"),
                              cell(walls, i, "clock_MHz"), cell(walls, i, "power_W")});
    }
    const DataTable ops = table("operators");
    for (std::size_t i = 0; i < ops.rows(); ++i) {
        const auto integer = [&](const char* c) { return static_cast<int>(cell(ops, i, c)); };
        loop.operators.push_back({ops.text(i, "run", ""), integer("stream"), integer("instruction"),
                                  integer("operation"), ops.text(i, "name", ""),
                                  ops.text(i, "class", ""), integer("kernels"),
                                  cell(ops, i, "alone_us"), cell(ops, i, "burst_us"),
                                  cell(ops, i, "sustained_us"), cell(ops, i, "burst_step_us"),
                                  cell(ops, i, "sustained_step_us")});
    }
    const DataTable moved = table("communications");
    for (std::size_t i = 0; i < moved.rows(); ++i) {
        loop.communications.push_back({moved.text(i, "name", ""), cell(moved, i, "given_us"),
                                       cell(moved, i, "given_GBps"),
                                       cell(moved, i, "achieved_GBps")});
    }
    return loop;
}

}  // namespace orrery::closed_loop
