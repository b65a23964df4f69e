// A user's own schedule file runs as the built-in one that it was exported from.

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "core/error.hpp"
#include "study/run.hpp"
#include "training/schedule_csv.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

class OwnSchedule : public ::testing::Test {
  protected:
    void write(const PipelineSchedule& schedule) {
        std::ofstream(file) << schedule_to_csv(schedule);
    }
    static RunResult run(const std::vector<std::string>& sets) {
        return run_scenario(load_scenario("scenarios/training/deepseek_v3_h800_2048.json", sets),
                            {.profiles = "hw_profiles"})
            .result;
    }
    void TearDown() override { fs::remove(file); }
    const fs::path file =
        fs::temp_directory_path() / ("orrery_own_schedule_" + std::to_string(getpid()) + ".csv");
};

TEST_F(OwnSchedule, ExportedDualPipeGivesTheSameStep) {
    write(make_schedule("dualpipe", {16, 120, 0}));
    const RunResult own = run({"plan.schedule=" + file.string()});
    EXPECT_EQ(own.fingerprint, run({}).fingerprint);
}

TEST_F(OwnSchedule, MustFitThePlan) {
    write(make_schedule("dualpipe", {8, 120, 0}));
    EXPECT_THROW(run({"plan.schedule=" + file.string()}), InputError);
    write(make_schedule("dualpipe", {16, 60, 0}));
    EXPECT_THROW(run({"plan.schedule=" + file.string()}), InputError);
}

TEST_F(OwnSchedule, MissingFileIsOneLine) {
    EXPECT_THROW(run({"plan.schedule=nowhere.csv"}), InputError);
}

}  // namespace
}  // namespace orrery
