// The breakdown tables of a training answer.
#include <algorithm>

#include <fmt/format.h>

#include "core/unit_text.hpp"
#include "model/accounting.hpp"
#include "study/training_answer.hpp"
#include "study/training_settings.hpp"

namespace orrery {
namespace {

// "671.0 billion".
std::string count_text(double count) {
    static constexpr std::pair<double, const char*> words[] = {
        {1e12, " trillion"}, {1e9, " billion"}, {1e6, " million"}, {1e3, " thousand"}};
    for (const auto& [step, word] : words) {
        if (count >= step) return fmt::format("{:#.4g}{}", count / step, word);
    }
    return fmt::format("{:.4g}", count);
}

std::string model_text(const ModelSpec& model) {
    const ParameterCount count = count_parameters(model);
    std::string text = fmt::format("{}, {} layers", model.name, model.layers.size());
    if (model.mtp_modules > 0) text += fmt::format(" + {} MTP", model.mtp_modules);
    text += fmt::format(", {} parameters", count_text(static_cast<double>(count.total)));
    if (count.active != count.total) {
        text += fmt::format(", {} active", count_text(static_cast<double>(count.active)));
    }
    return text;
}

std::string cluster_text(const TrainingSpec& spec) {
    const ClusterProfile& cluster = spec.cluster;
    const double nodes = cluster.nodes.value.value();
    std::string text = fmt::format("{:.0f} node{} of {:.0f} {}", nodes, nodes > 1 ? "s" : "",
                                   cluster.gpus_per_node.value.value(), spec.accelerator.title);
    text += fmt::format(", NVLink {}", to_text(cluster.nvlink_bandwidth.value, 3));
    if (nodes > 1) {
        text += fmt::format(", network {} a GPU", to_text(cluster.nic_bandwidth.value, 3));
    }
    return text;
}

std::string plan_text(const ParallelPlan& plan) {
    std::string text;
    const auto add = [&](std::string_view name, std::int64_t degree) {
        if (degree > 1) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, degree);
    };
    add("tensor", plan.tp);
    add("pipeline", plan.pp);
    add("data", plan.dp);
    add("expert", plan.ep);
    add("context", plan.cp);
    if (text.empty()) text = "one GPU";
    if (plan.pp > 1) text += ", schedule " + plan.schedule;
    return text + fmt::format(", {}, ZeRO-{}, recompute {}", to_string(plan.precision),
                              plan.zero_stage, recompute_text(plan.recompute));
}

}  // namespace

ResultTable setup_table(const TrainingSpec& spec) {
    const double tokens =
        static_cast<double>(spec.sequences) * static_cast<double>(spec.sequence_length);
    ResultTable table{"setup", "", {{"what", ""}, {"value", ""}}, {}};
    const auto add = [&](std::string what, std::string value) {
        table.rows.push_back({std::move(what), std::move(value)});
    };
    add("model", model_text(spec.model));
    add("cluster", cluster_text(spec));
    add("plan", plan_text(spec.plan));
    add("step", fmt::format("{} sequences of {} tokens = {} tokens; {} micro-batches of {} on each "
                            "data-parallel rank",
                            spec.sequences, spec.sequence_length, count_text(tokens),
                            spec.micro_batches(), spec.plan.micro_batch_size));
    return table;
}

ResultTable per_rank_table(const TrainingResult& simulated) {
    ResultTable table{"per_rank",
                      "Where the step goes on each pipeline rank: mean and range",
                      {{"rank", ""},
                       {"forward alone", "s"},
                       {"backward alone", "s"},
                       {"weight gradients alone", "s"},
                       {"F&B overlapped", "s"},
                       {"optimizer", "s"},
                       {"bubble", "s"},
                       {"of all passes: waiting for peers", "s"},
                       {"forwards", ""},
                       {"backwards", ""},
                       {"weight gradients", ""},
                       {"F&B pairs", ""}},
                      {}};
    std::int64_t rank = 0;
    for (const StepParts& parts : simulated.by_pipeline_rank) {
        table.rows.push_back({rank++, parts.forward.value(), parts.backward.value(),
                              parts.backward_weight.value(), parts.forward_backward.value(),
                              parts.optimizer.value(), parts.bubble.value(), parts.barrier.value(),
                              parts.forwards, parts.backwards, parts.backward_weights,
                              parts.forward_backwards});
    }
    return table;
}

ResultTable stages_table(const TrainingSpec& spec) {
    ResultTable table{"stages", "Layers on pipeline stages", {{"stage", ""}, {"holds", ""}}, {}};
    // Neighbours that hold nothing but the same number of layers share a row.
    const auto& stages = spec.plan.stages;
    const auto alike = [](const StageLayout& a, const StageLayout& b) {
        const auto plain = [](const StageLayout& s) {
            return !s.embedding && !s.head && s.mtp_modules == 0;
        };
        return plain(a) && plain(b) && a.layers.size() == b.layers.size();
    };
    for (std::size_t s = 0; s < stages.size();) {
        std::size_t last = s;
        while (last + 1 < stages.size() && alike(stages[last], stages[last + 1])) ++last;
        if (last == s) {
            table.rows.push_back({std::to_string(s), stage_text(stages[s])});
        } else {
            StageLayout all = stages[s];
            for (std::size_t i = s + 1; i <= last; ++i) {
                all.layers.insert(all.layers.end(), stages[i].layers.begin(),
                                  stages[i].layers.end());
            }
            table.rows.push_back(
                {fmt::format("{}-{}", s, last),
                 fmt::format("{} layers each: {}", stages[s].layers.size(), stage_text(all))});
        }
        s = last + 1;
    }
    return table;
}

ResultTable memory_table(const MemoryPeak& memory) {
    ResultTable table{
        "memory",
        fmt::format("What fills {} of the fullest GPU (pipeline rank {}, {:.0f} micro-batch chunks "
                    "in flight)",
                    to_text(memory.capacity, 3), memory.pipeline_rank, memory.chunks_in_flight),
        {{"what", ""}, {"size", "B"}, {"share", "1"}},
        {}};
    for (const MemoryItem& item : memory.items) {
        if (item.bytes.value() == 0) continue;
        table.rows.push_back({item.name, item.bytes.value(), item.bytes / memory.capacity});
    }
    const Bytes left = memory.capacity - memory.total;
    if (memory.fits()) {
        table.rows.push_back({std::string("free"), left.value(), left / memory.capacity});
    } else {
        table.rows.push_back(
            {std::string("too much"), -left.value(), -1.0 * (left / memory.capacity)});
    }
    return table;
}

ResultTable chunk_pair_table(const TrainingResult& simulated) {
    const ChunkPair& pair = simulated.chunk_pair;
    // A schedule that never overlaps them has no such pair.
    const bool overlaps =
        std::any_of(simulated.by_pipeline_rank.begin(), simulated.by_pipeline_rank.end(),
                    [](const StepParts& parts) { return parts.forward_backwards > 0; });
    ResultTable table{
        "chunk_pair",
        fmt::format("One overlapped F&B pair, {}: compute busy {}, communication busy {}, of it "
                    "exposed {}",
                    to_text(pair.time), to_text(pair.compute_busy),
                    to_text(pair.communication_busy), to_text(pair.exposed_communication)),
        {{"phase", ""}, {"kind", ""}, {"operators", ""}, {"time", "s"}},
        {}};
    if (!overlaps) return table;
    std::vector<PairShare> shares = pair.shares;
    std::stable_sort(shares.begin(), shares.end(), [](const PairShare& a, const PairShare& b) {
        return a.time.value() > b.time.value();
    });
    for (const PairShare& share : shares) {
        table.rows.push_back(
            {share.phase, share.operator_class, share.operators, share.time.value()});
    }
    return table;
}

std::string overflow_note(const MemoryPeak& memory) {
    if (memory.fits() || memory.items.empty()) return "";
    const auto largest = std::max_element(
        memory.items.begin(), memory.items.end(),
        [](const MemoryItem& a, const MemoryItem& b) { return a.bytes < b.bytes; });
    return fmt::format(
        "The plan does not fit: pipeline rank {} needs {} of {}, {} too much. The largest part is "
        "{} with {}.",
        memory.pipeline_rank, to_text(memory.total), to_text(memory.capacity, 3),
        to_text(memory.total - memory.capacity), largest->name, to_text(largest->bytes));
}

}  // namespace orrery
