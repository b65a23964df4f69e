// The blocks of a training scenario: defaults, overrides, origins, and every rule that is broken.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/error.hpp"
#include "study/training_answer.hpp"
#include "study/training_scenario.hpp"
#include "study/training_settings.hpp"

namespace orrery {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kLlama = "scenarios/training/llama3_8b_h100_8.json";
constexpr const char* kDeepSeek = "scenarios/training/deepseek_v3_h800_2048.json";

TrainingScenario read(const char* file, const std::vector<std::string>& sets = {}) {
    return read_training_scenario(load_scenario(file, sets), "hw_profiles");
}

std::string error_of(const char* file, const std::vector<std::string>& sets) {
    try {
        read(file, sets);
    } catch (const InputError& e) {
        return e.what();
    }
    return "no error";
}

const SourceUsed* source(const TrainingScenario& training, const std::string& name) {
    for (const SourceUsed& used : training.sources) {
        if (used.name == name) return &used;
    }
    return nullptr;
}

}  // namespace

// 2,048 GPUs / 16 stages = 128 data-parallel ranks; 15,360 / 128 = 120 micro-batches.
TEST(TrainingScenario, DataParallelRanksAreTheGpusThatAreLeft) {
    const TrainingSpec deepseek = read(kDeepSeek).spec;
    EXPECT_EQ(deepseek.plan.dp, 128);
    EXPECT_EQ(deepseek.micro_batches(), 120);
    EXPECT_EQ(deepseek.plan.ranks(), 2048);
    EXPECT_EQ(read(kDeepSeek, {"cluster.nodes=128"}).spec.plan.dp, 64);
    EXPECT_EQ(read(kLlama, {"plan.tp=4"}).spec.plan.dp, 2);
    EXPECT_EQ(read(kLlama, {"plan.dp=2"}).spec.plan.ranks(), 4);
}

TEST(TrainingScenario, OverridesReachTheSpecAndSayWhoGaveThem) {
    const TrainingScenario training =
        read(kDeepSeek, {"cluster.nic_bandwidth=25 GB/s", "cluster.nvlink_bandwidth=100 GB/s",
                         "cluster.price_per_gpu_hour=4 USD/h", "train.jitter=1 %",
                         "cluster.slow_ranks=[{\"rank\": 77, \"factor\": 1.1}]", "run.fold=none"});
    EXPECT_EQ(training.spec.cluster.nic_bandwidth.value.value(), 25e9);
    EXPECT_EQ(training.spec.cluster.nic_bandwidth.from.origin, Origin::given);
    EXPECT_EQ(training.spec.cluster.nvlink_bandwidth.value.value(), 100e9);
    EXPECT_EQ(training.spec.cluster.price_per_gpu_hour.value.value(), 4);
    EXPECT_EQ(training.spec.jitter, 0.01);
    ASSERT_EQ(training.spec.slow_ranks.size(), 1U);
    EXPECT_EQ(training.spec.slow_ranks[0].rank, 77);
    EXPECT_EQ(training.spec.slow_ranks[0].factor, 1.1);
    EXPECT_FALSE(training.spec.fold);
    ASSERT_NE(source(training, "slowness of rank 77"), nullptr);
    EXPECT_EQ(source(training, "slowness of rank 77")->from.origin, Origin::given);
}

TEST(TrainingScenario, StatedInputsKeepTheirOrigin) {
    const TrainingScenario training = read(kDeepSeek);
    EXPECT_EQ(training.spec.clock, Clock::sustained);
    ASSERT_NE(source(training, "clock of the GPUs"), nullptr);
    EXPECT_EQ(source(training, "clock of the GPUs")->from.origin, Origin::assumed);
    EXPECT_EQ(training.spec.communication_sms, 20);
}

TEST(TrainingScenario, PlanThatLeavesGpusIdleSaysSo) {
    const TrainingScenario training = read(kLlama, {"plan.dp=2"});
    ASSERT_EQ(training.notes.size(), 1U);
    EXPECT_THAT(training.notes[0], HasSubstr("uses 4 of the cluster's 8 GPUs"));
}

TEST(TrainingScenario, UsedSettingsRunAgainToTheSameSpec) {
    const TrainingScenario first = read(kDeepSeek, {"plan.pp=8"});
    const auto file = std::filesystem::temp_directory_path() /
                      ("orrery_used_" + std::to_string(getpid()) + ".json");
    std::ofstream(file) << first.used;
    const TrainingScenario second = read_training_scenario(load_scenario(file, {}), "hw_profiles");
    std::filesystem::remove(file);
    EXPECT_EQ(second.spec.plan.stages.size(), 8U);
    EXPECT_EQ(second.spec.plan.stages[7].layers, first.spec.plan.stages[7].layers);
    EXPECT_EQ(recompute_text(second.spec.plan.recompute), "norm, mla_up_projection, swiglu");
    EXPECT_EQ(second.spec.plan.framework_memory.value, first.spec.plan.framework_memory.value);
    EXPECT_EQ(second.used, first.used);
    ASSERT_NE(source(second, "clock of the GPUs"), nullptr);
    ASSERT_EQ(second.sources.size(), first.sources.size());
    for (std::size_t i = 0; i < first.sources.size(); ++i) {
        EXPECT_EQ(second.sources[i].name, first.sources[i].name);
        EXPECT_EQ(second.sources[i].from.origin, first.sources[i].from.origin);
        EXPECT_EQ(second.sources[i].from.source, first.sources[i].from.source);
    }
    EXPECT_EQ(second.spec.cluster.nic_bandwidth.from.origin,
              first.spec.cluster.nic_bandwidth.from.origin);
}

struct BadSetting {
    const char* scenario;
    const char* setting;
    const char* message;  // after "--set "
};

class BadSettings : public testing::TestWithParam<BadSetting> {};

TEST_P(BadSettings, AreOneLineWithOptionKeyValueAndRule) {
    const std::string error = error_of(GetParam().scenario, {GetParam().setting});
    EXPECT_THAT(error, StartsWith(std::string("--set ") + GetParam().message));
    EXPECT_EQ(error.find('\n'), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    TrainingScenario, BadSettings,
    testing::Values(
        BadSetting{kLlama, "plan.foo=3", "plan.foo = 3: is not a known key"},
        BadSetting{kLlama, "model=nope.json", "model = \"nope.json\": must be a file"},
        BadSetting{kLlama, "cluster.profile=nope",
                   "cluster.profile = \"nope\": is not a profile, must be one of: "},
        BadSetting{kLlama, "cluster.accelerator=nope",
                   "cluster.accelerator = \"nope\": is not a profile, must be one of: "},
        BadSetting{kLlama, "cluster.nic_bandwidth=50 GB",
                   "cluster.nic_bandwidth = \"50 GB\": must be a data rate such as"},
        BadSetting{kLlama, "cluster.nic_bandwidth=50", "cluster.nic_bandwidth = 50: must be"},
        BadSetting{kLlama, "cluster.nodes=0", "cluster.nodes = 0: must be >= 1"},
        BadSetting{kLlama, "cluster.nodes=200000",
                   "cluster.nodes = 200000: gives 1600000 GPUs, must give at most 1000000"},
        BadSetting{kLlama, "cluster.slow_ranks=[{\"rank\": 8, \"factor\": 2}]",
                   "cluster.slow_ranks = [{\"rank\":8,\"factor\":2}]: rank 8 must be less than "
                   "the plan's 8 ranks"},
        BadSetting{kLlama, "plan.tp=3", "plan.tp = 3: must divide"},
        BadSetting{kLlama, "plan.dp=16",
                   "plan.dp = 16: takes 32 GPUs (tp 2 x pp 1 x dp 16 x cp 1), must take at most "
                   "the cluster's 8"},
        BadSetting{kLlama, "plan.schedule=nope",
                   "plan.schedule = \"nope\": must be one of gpipe, 1f1b"},
        BadSetting{kLlama, "plan.precision=fp4", "plan.precision = \"fp4\": must be bf16"},
        BadSetting{kLlama, "plan.micro_batch_size=0", "plan.micro_batch_size = 0: must be >= 1"},
        BadSetting{kLlama, "train.sequences=63",
                   "train.sequences = 63: must divide by plan.dp x plan.micro_batch_size = 4 x 1 "
                   "= 4"},
        BadSetting{kLlama, "train.sequences=8000000",
                   "train.sequences = 8000000: gives 2000000 micro-batches, must give at most "
                   "1000000"},
        BadSetting{kLlama, "train.clock=fast", "train.clock = \"fast\": must be \"burst\""},
        BadSetting{kLlama, "train.jitter=-1", "train.jitter = -1: must be from 0 to 1"},
        BadSetting{kLlama, "run.fold=maybe", "run.fold = \"maybe\": must be \"auto\""},
        BadSetting{kDeepSeek, "train.communication_sms=131",
                   "train.communication_sms = 131: must be a whole number from 0 to 116"},
        BadSetting{kDeepSeek, "train.routed_rows_factor=0.5",
                   "train.routed_rows_factor = 0.5: must be from 1 to 1000"},
        BadSetting{kDeepSeek, "routing.kind=random",
                   "routing.kind = \"random\": must be \"balanced\" or \"drawn\""},
        BadSetting{kDeepSeek, "routing.skew=1", "routing.skew = 1: needs routing.kind = \"drawn\""},
        BadSetting{kDeepSeek, "network.expert_all_to_all=fast",
                   "network.expert_all_to_all = \"fast\": must be \"published_rates\" or"},
        BadSetting{kLlama, "network.notify=false",
                   "network.notify = false: needs network.expert_all_to_all = "},
        BadSetting{kLlama, "network.links=shared",
                   "network.links = \"shared\": needs network.expert_all_to_all = "},
        BadSetting{kLlama, "network.expert_version=2025-02",
                   "network.expert_version = \"2025-02\": needs network.expert_all_to_all = "},
        BadSetting{kDeepSeek, "network.pipeline_sends=off",
                   "network.pipeline_sends = \"off\": must be \"overlapped\", \"blocking\" or"},
        BadSetting{kDeepSeek, "network.foo=1", "network.foo = 1: is not a known key"},
        BadSetting{kLlama, "cluster.nic_bandwidth=1 B/s",
                   "cluster.nic_bandwidth = \"1 B/s\": must be from 1 MB/s to 1 PB/s"},
        BadSetting{kLlama, "plan.virtual_stages=3",
                   "plan.virtual_stages = 3: must be 1 with schedule 1f1b"},
        BadSetting{kDeepSeek, "plan.ep=96", "plan.ep = 96: must divide"},
        BadSetting{kDeepSeek, "plan.pp=64", "plan.pp = 64: gives 64 stages"}));

// 80 GB hold 90 GB of which 60 are activations: 10 GB too much.
TEST(TrainingAnswer, OverflowSaysWhatAndHowMuch) {
    MemoryPeak memory;
    memory.pipeline_rank = 3;
    memory.capacity = Bytes(80e9);
    memory.total = Bytes(90e9);
    memory.items = {{"weights", Bytes(30e9)}, {"activations", Bytes(60e9)}};
    EXPECT_THAT(overflow_note(memory),
                HasSubstr("pipeline rank 3 needs 90.00 GB of 80.0 GB, 10.00 GB too much. The "
                          "largest part is activations with 60.00 GB."));
    memory.total = Bytes(70e9);
    EXPECT_EQ(overflow_note(memory), "");
}

TEST(TrainingAnswer, StagesOfTheSameSizeShareARow) {
    const ResultTable table = stages_table(read(kDeepSeek).spec);
    ASSERT_EQ(table.rows.size(), 3U);
    EXPECT_EQ(std::get<std::string>(table.rows[0][1]), "embedding, layers 0-3");
    EXPECT_EQ(std::get<std::string>(table.rows[1][0]), "1-14");
    EXPECT_EQ(std::get<std::string>(table.rows[1][1]), "4 layers each: layers 4-59");
    EXPECT_EQ(std::get<std::string>(table.rows[2][1]), "layer 60, MTP x 1, head");
}

}  // namespace orrery
