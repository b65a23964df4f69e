// The shipped profiles load; a profile that breaks a rule is refused with file, key, value, rule.

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "core/error.hpp"
#include "hardware/accelerator_profile.hpp"
#include "hardware/cluster_profile.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kProfiles = fs::path(ORRERY_SOURCE_DIR) / "hw_profiles";

std::string read(const fs::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

// A copy of a shipped profile with one piece of text replaced, in a directory of its own.
class Edited {
  public:
    Edited(const char* kind, const char* name, const std::string& from, const std::string& to) {
        root_ =
            fs::temp_directory_path() / fs::path("orrery_profile_" + std::to_string(::getpid()) +
                                                 "_" + std::to_string(counter++));
        fs::copy(kProfiles, root_, fs::copy_options::recursive);
        const fs::path file = root_ / kind / (std::string(name) + ".json");
        std::string text = read(file);
        const auto at = text.find(from);
        EXPECT_NE(at, std::string::npos) << from;
        text.replace(at, from.size(), to);
        std::ofstream(file) << text;
    }
    ~Edited() { fs::remove_all(root_); }
    const fs::path& root() const { return root_; }

  private:
    static inline int counter = 0;
    fs::path root_;
};

std::string accelerator_error(const std::string& from, const std::string& to) {
    const Edited edited("accelerators", "h100_sxm5", from, to);
    try {
        load_accelerator("h100_sxm5", edited.root());
    } catch (const InputError& error) {
        return error.what();
    }
    return "loaded";
}

std::string table_error(const std::string& from, const std::string& to) {
    const Edited edited("published", "flashattention3_h100_causal", from, to);
    try {
        load_accelerator("h100_sxm5", edited.root());
    } catch (const InputError& error) {
        return error.what();
    }
    return "loaded";
}

TEST(Profile, TheH100HoldsTheMeasuredGrid) {
    const AcceleratorProfile p = load_accelerator("h100_sxm5", kProfiles);
    EXPECT_EQ(p.name, "h100_sxm5");
    EXPECT_EQ(p.sms.value.value(), 132);
    EXPECT_EQ(p.memory.value.value(), 80e9);
    ASSERT_NE(p.find_table("gemm"), nullptr);
    EXPECT_GE(p.find_table("gemm")->rows(), 270U);
    EXPECT_EQ(p.find_table("gemm")->from.origin, Origin::measured);
    EXPECT_EQ(p.find_table("no such family"), nullptr);
}

// What was measured on an H100 is not called measured on an H800; DeepSeek's own H800 tables are.
TEST(Profile, TheH800InheritsUnderAWeakerOrigin) {
    const AcceleratorProfile p = load_accelerator("h800_sxm5", kProfiles);
    EXPECT_EQ(p.copy_bandwidth.from.origin, Origin::derived);
    EXPECT_THAT(p.copy_bandwidth.from.source, HasSubstr("H100 SXM5 figure unchanged"));
    EXPECT_EQ(p.find_table("gemm")->from.origin, Origin::derived);
    EXPECT_EQ(p.find_table("grouped_gemm")->from.origin, Origin::published);
    EXPECT_EQ(p.peak_bf16.from.origin, Origin::specified);
    EXPECT_EQ(p.launch_gap.from.origin,
              load_accelerator("h100_sxm5", kProfiles).launch_gap.from.origin > Origin::derived
                  ? Origin::assumed
                  : Origin::derived);
}

TEST(Profile, EveryShippedProfileLoads) {
    for (const std::string& name : profile_names(kProfiles, "accelerators")) {
        EXPECT_NO_THROW(load_accelerator(name, kProfiles)) << name;
    }
    for (const std::string& name : profile_names(kProfiles, "clusters")) {
        const ClusterProfile cluster = load_cluster(name, kProfiles);
        EXPECT_NO_THROW(load_accelerator(cluster.accelerator, kProfiles)) << name;
    }
}

// 256 nodes of 8 GPUs at 2 USD/h.
TEST(Profile, TheH800Cluster) {
    const ClusterProfile c = load_cluster("h800_ib_2048", kProfiles);
    EXPECT_EQ(c.nodes.value.value() * c.gpus_per_node.value.value(), 2048);
    EXPECT_EQ(c.nvlink_bandwidth.value.value(), 160e9);
    EXPECT_EQ(c.nic_bandwidth.value.value(), 50e9);
    EXPECT_EQ(c.price_per_gpu_hour.value.value(), 2);
    EXPECT_EQ(c.find_table("expert_all_to_all")->rows(), 3U);
}

TEST(Profile, NumbersNeedAnOrigin) {
    EXPECT_THAT(accelerator_error(R"("origin": "specified", )", ""),
                HasSubstr("h100_sxm5.json: memory.origin: is missing"));
    EXPECT_THAT(accelerator_error(R"("specified")", R"("guessed")"), HasSubstr("memory.origin"));
    EXPECT_THAT(accelerator_error(R"({"value": "80 GB")", R"({"amount": "80 GB")"),
                HasSubstr("memory.value"));
    EXPECT_THAT(table_error(R"("origin": "published",)", ""), HasSubstr("origin: is missing"));
}

TEST(Profile, UnitsAndKeysAreChecked) {
    EXPECT_THAT(accelerator_error("3.35 TB/s", "3.35 TB"),
                HasSubstr("memory_bandwidth.value = \"3.35 TB\": must be a data rate"));
    EXPECT_THAT(accelerator_error("\"sms\"", "\"sm_count\""), HasSubstr("sms: is missing"));
    EXPECT_THAT(accelerator_error(R"("title")", R"("color": 1, "title")"),
                HasSubstr("color = 1: is not a known key"));
    EXPECT_THAT(accelerator_error("\"copy_bandwidth\": {\"value\": \"2993.3 GB/s\"",
                                  "\"copy_bandwidth\": {\"value\": \"0 GB/s\""),
                HasSubstr("copy_bandwidth.value = \"0 GB/s\": must be"));
    EXPECT_THAT(accelerator_error("../published/flashattention3_h100_causal.json",
                                  "../published/none.json"),
                HasSubstr("none.json: cannot be opened"));
}

TEST(Profile, TableRowsAreChecked) {
    EXPECT_THAT(table_error("[\"forward\", 1, 4, 48, 1024, 128, 128, 141.63]", "[\"forward\", 1]"),
                HasSubstr("h100_causal.json: rows[0] = [\"forward\",1]: must have 8 cells"));
    EXPECT_THAT(table_error("[\"forward\", 1, 4, 48, 2048,", "[8, 1, 4, 48, 2048,"),
                HasSubstr("rows[1][0] = 8: must be text"));
    EXPECT_THAT(table_error("128, 368.35]", "128, \"fast\"]"), HasSubstr("must be a number"));
    EXPECT_THAT(table_error("\"columns\"", "\"heads\""), HasSubstr("columns: is missing"));
}

TEST(Profile, AnUnknownNameListsTheKnownOnes) {
    try {
        load_accelerator("h1000", kProfiles);
        FAIL();
    } catch (const InputError& error) {
        EXPECT_THAT(error.what(), HasSubstr("accelerator = \"h1000\""));
        EXPECT_THAT(error.what(), HasSubstr("h100_sxm5, "));
    }
}

// A calibration writes hw_profiles/my_gpu.json: found by its name, and its raw tables are no
// profile.
TEST(Profile, AFileBesideTheKindsIsFoundByName) {
    const Edited edited("accelerators", "h100_sxm5", "80 GB", "90 GB");
    fs::copy(edited.root() / "accelerators/h800_sxm5.json", edited.root() / "accelerators/x.json");
    std::ofstream(edited.root() / "my_gpu.json")
        << R"({"title": "mine", "inherits": {"profile": "accelerators/h100_sxm5",
               "origin": "derived", "source": "a test"}})";
    std::ofstream(edited.root() / "my_gpu.measured.json") << "{}";
    std::ofstream(edited.root() / "broken.json") << "{";
    EXPECT_EQ(load_accelerator("my_gpu", edited.root()).title, "mine");
    EXPECT_THAT(profile_names(edited.root(), "accelerators"),
                testing::IsSupersetOf({"h100_sxm5", "my_gpu", "x"}));
    EXPECT_THAT(profile_names(edited.root(), "accelerators"),
                testing::Not(testing::Contains("my_gpu.measured")));
    EXPECT_THAT(profile_names(edited.root(), "clusters"),
                testing::Not(testing::Contains("my_gpu")));
    EXPECT_THROW(load_accelerator("broken", edited.root()), InputError);
}

// Calibration and validation never mix: no profile may rest on the traced chunk pair, the step
// breakdown or the rows kept for validation.
TEST(Profile, NoneCitesWhatAnswersAreComparedWith) {
    std::size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(kProfiles)) {
        if (entry.path().extension() != ".json") continue;
        std::string text = read(entry.path());
        std::erase_if(text, [](unsigned char c) { return std::isspace(c) != 0; });
        std::transform(text.begin(), text.end(), text.begin(),
                       [](unsigned char c) { return std::tolower(c); });
        for (const char* forbidden : {"train.json", "train_trace", "profile-data", "trace.train",
                                      "isca.t4", "table4", "mpft.time", "chunkpair"}) {
            EXPECT_EQ(text.find(forbidden), std::string::npos) << entry.path() << ": " << forbidden;
        }
        ++files;
    }
    EXPECT_GE(files, 8U);
    const ClusterProfile cluster = load_cluster("h800_ib_2048", kProfiles);
    for (const auto& row : cluster.find_table("expert_all_to_all")->numbers) {
        EXPECT_LE(row[0], 32) << "EP64 and larger are validation";
    }
}

}  // namespace
}  // namespace orrery
