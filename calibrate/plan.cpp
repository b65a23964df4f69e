#include "calibrate/plan.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.hpp"

namespace orrery::calibrate {

const std::vector<FamilyPlan>& all_families() {
    static const std::vector<FamilyPlan> families = {
        {"placement", "contention", 1, "which SMs one thread-block cluster can span",
         "table placement"},
        {"gemm", "gemm", 20, "DeepSeek-V3 training GEMMs on all, 112 and 110 SMs", "gemm"},
        {"gemm_grid", "gemm", 150, "GEMM grid: m 16-16,384, n 512-131,072, k 256-32,768",
         "gemm, gemm_model"},
        {"grouped_gemm", "grouped_gemm", 1,
         "FP8 grouped GEMMs of our own: experts, decode, weight gradients", "grouped_gemm"},
        {"attention", "attention", 39, "training and prefill attention, forward and backward",
         "attention, memory"},
        {"attention_decode", "attention", 8,
         "decode attention over paged caches: absorbed MLA and GQA", "attention_decode"},
        {"memory", "memory", 3, "memory-bound kernels, model shapes and 1 MB to 1 GB",
         "memory, copy_bandwidth, kernel_floor"},
        {"copy", "copy", 3, "copies on one GPU, with the host, between GPUs", "table copy"},
        {"collectives", "collectives", 1,
         "NCCL on 2, 4, 8 and all GPUs by algorithm, protocol, channels (2 GPUs 15 s, 8 50 s)",
         "tables collectives, node_collectives"},
        {"expert_all_to_all", "expert_all_to_all", 1,
         "expert dispatch and combine over NVLink, GEMMs beside (2 GPUs 12 s, 8 20 s)",
         "tables expert_all_to_all, expert_contention"},
        {"scatter", "scatter", 80,
         "shapes spread evenly: GEMMs, also on fewer SMs, grouped GEMMs, memory",
         "gemm, grouped_gemm, memory"},
        {"launch_gap", "memory", 2, "idle time between kernels of one stream, of one CUDA graph",
         "launch_gap, graph_gap"},
        {"mechanism", "contention", 9, "GEMM kernels by cluster shape beside communication",
         "table contention_mechanism"},
        {"contention", "contention", 30, "slowdown beside a communication kernel",
         "contention, attention_sms, saturating_sms"},
        {"sustained", "gemm", 75, "GEMMs and a layer's mix under continuous load", "sustained"},
        {"between_gpus", "between_gpus", 34,
         "a layer's mix under continuous load, by GPU: how far GPUs of one kind differ",
         "between_gpus (of several GPUs)"},
    };
    return families;
}

std::vector<FamilyPlan> chosen_families(const std::vector<std::string>& only) {
    const auto& all = all_families();
    for (const std::string& name : only) {
        const bool known = std::any_of(all.begin(), all.end(), [&](const FamilyPlan& f) {
            return name == f.name || name == f.group;
        });
        if (known) continue;
        std::set<std::string> names;
        for (const FamilyPlan& f : all) names.insert({f.name, f.group});
        throw InputError(
            fmt::format("--only {}: must be one of: {}", name, fmt::join(names, ", ")));
    }
    const std::set<std::string> wanted(only.begin(), only.end());
    std::vector<FamilyPlan> chosen;
    for (const FamilyPlan& f : all)
        if (wanted.empty() || wanted.contains(f.name) || wanted.contains(f.group))
            chosen.push_back(f);
    return chosen;
}

std::string family_list() {
    std::string text = fmt::format("{:18} {:18} {:>7}  {:42} {}\n", "family", "part of", "about",
                                   "gives", "measures");
    double total = 0;
    for (const FamilyPlan& f : all_families()) {
        text += fmt::format("{:18} {:18} {:>5.0f} s  {:42} {}\n", f.name, f.group, f.seconds,
                            f.gives, f.what);
        total += f.seconds;
    }
    return text + fmt::format("{:18} {:18} {:>7}  on an H100\n", "all", "", minutes(total));
}

std::string minutes(double seconds) {
    const int whole = std::max(0, int(seconds + 0.5));
    return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

void Progress::begin(std::size_t k, double now) {
    for (; at_ < k; ++at_) planned_ += families_[at_].seconds;
    began_ = now;
}

double Progress::seconds_left(double now) const {
    double ahead = 0;
    for (std::size_t i = at_ + 1; i < families_.size(); ++i) ahead += families_[i].seconds;
    const double stretch = planned_ > 0 ? began_ / planned_ : 1;
    const double here = std::max(0.0, families_[at_].seconds * stretch - (now - began_));
    return here + ahead * stretch;
}

std::string Progress::line(double now) const {
    return fmt::format("[{}/{} {}] {} elapsed, about {} left", at_ + 1, families_.size(),
                       families_[at_].name, minutes(now), minutes(seconds_left(now)));
}

}  // namespace orrery::calibrate
