#pragma once
// A result made by hand, like a training step's, for the writers' tests.

#include "core/run_result.hpp"

namespace orrery {

inline RunResult sample_result() {
    RunResult r;
    r.scenario = "Sample step on 2,048 GPUs";
    r.kind = "training";
    r.given = R"({"name": "sample"})";
    r.used = R"({"name": "sample", "run": {"fold": "auto"}})";
    r.metrics = {
        {"step_time", 20.312, "s", Origin::assumed, "time per step"},
        {"chunk_pair_time", 0.131, "s", Origin::published, "one overlapped F&B chunk pair"},
        {"time_1f", 1.1, "s", Origin::published, "forward alone (1F)"},
        {"time_1f1b", 14.2, "s", Origin::published, "forward and backward overlapped"},
        {"tokens_per_day", 267.6e9, "tokens/day", Origin::assumed, "tokens per day"},
        {"mfu_causal", 0.3801, "1", Origin::assumed, "MFU, causal attention"},
        {"gpu_hours", 2718123.4, "h", Origin::assumed, "GPU hours"},
        {"cost", 5.436e6, "USD", Origin::given, "cost"},
        {"peak_memory", 61.2e9, "B", Origin::derived, "peak memory"},
        {"fits_memory", 1, "1", Origin::derived, "fits in 80 GB"}};
    r.published = {{"step_time", 19.926, "A paper, Table 4", ""},
                   {"cost", 5.328e6, "A report, Table 1", "excludes earlier research"}};
    r.breakdown = {
        {"setup",
         "",
         {{"what", ""}, {"value", ""}},
         {{std::string("model"), std::string("Sample, 671.0 B parameters, 37.6 B active")},
          {std::string("cluster"), std::string("256 nodes of 8 GPUs, 400 Gb/s a GPU")}}},
        {"per_rank",
         "Time on each pipeline rank: mean and range",
         {{"rank", ""}, {"forward alone", "s"}, {"bubble", "s"}},
         {{std::int64_t{0}, 1.0, 2.0}, {std::int64_t{1}, 3.0, 1.0}, {std::int64_t{2}, 2.0, 6.0}}},
        {"memory",
         "What fills the memory of the fullest GPU (rank 0)",
         {{"what", ""}, {"size", "B"}, {"share", "1"}},
         {{std::string("weights"), 30.6e9, 0.5}, {std::string("activations"), 15.3e9, 0.25}}}};
    r.notes = {"Communication is not contended: latency plus bytes over the published rate."};
    r.sources = {{"NIC bandwidth", "50 GB/s", {Origin::published, "A paper, section 4"}},
                 {"GEMM table", "62 rows", {Origin::measured, "measured/h100.json"}},
                 {"GPU price", "2 USD/h", {Origin::given, "--set"}}};
    r.events = 1234567;
    r.operators = 230'000'000;
    r.ranks = 2048;
    r.ranks_simulated = 16;
    r.fingerprint = "00ff";
    r.program = {"0.1.0", "abcdef", true};
    r.wall_seconds = 0.0834;
    return r;
}

}  // namespace orrery
