#pragma once
// The file that orrery-closed-loop writes: what one layer took on a GPU.

#include <filesystem>
#include <string>
#include <vector>

#include "calibrate/table.hpp"

namespace orrery::closed_loop {

// Empty tables with the file's columns.
calibrate::Table wall_table();
calibrate::Table operator_table();
calibrate::Table communication_table();

struct MeasuredWall {
    std::string run, clock;  // "F", "B", "W", "F+B+W", "F&B"; "burst" or "sustained"
    double wall_us = 0, spread = 0, clock_mhz = 0, power_w = 0;
};
struct MeasuredOperator {
    std::string run;
    int stream = 0;  // 0 compute, 1 communication
    int instruction = 0, operation = 0;
    std::string name, operator_class;
    int kernels = 0;
    double alone_us = 0;                              // by itself, operands from device memory
    double burst_us = 0, sustained_us = 0;            // kernel time in the program
    double burst_step_us = 0, sustained_step_us = 0;  // from the end of the operator before
};
struct MeasuredCommunication {
    std::string name;
    double given_us = 0, given_gbps = 0, achieved_gbps = 0;
};
struct MeasuredLoop {
    std::string device, date, driver, library, command, commit;
    std::vector<MeasuredWall> walls;
    std::vector<MeasuredOperator> operators;
    std::vector<MeasuredCommunication> communications;

    // Throws InputError where there is none.
    const MeasuredWall& wall(const std::string& run, const std::string& clock) const;
};

// Throws InputError: file, key, rule.
MeasuredLoop read_measured_loop(const std::filesystem::path& file);

}  // namespace orrery::closed_loop
