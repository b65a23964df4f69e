#include "calibrate/gpu/expert_node.hpp"

#include <algorithm>

#include "calibrate/gpu/check.hpp"
#include "core/error.hpp"
#include "kernels/probe.hpp"

namespace orrery::calibrate {
namespace {

constexpr std::int64_t kTokensBytes = 512ll << 20;  // of x: several times the L2
constexpr std::int64_t kScalesPerRow = kExpertHidden / 128;

}  // namespace

std::string to_string(ExpertStep step) {
    switch (step) {
        case ExpertStep::layout:
            return "layout";
        case ExpertStep::dispatch_fp8:
            return "dispatch fp8";
        case ExpertStep::dispatch_bf16:
            return "dispatch bf16";
        case ExpertStep::combine:
            return "combine bf16";
    }
    return "";
}

double payload_bytes(ExpertStep step) {
    if (step == ExpertStep::layout) return 0;
    if (step == ExpertStep::dispatch_fp8) return double(kExpertHidden + 4 * kScalesPerRow);
    return double(2 * kExpertHidden);
}

void ExpertNode::allocate(Rank& r, const Lane& lane) const {
    const OnGpu on(lane.device);
    const auto ranks = std::int64_t(ranks_.size()), capacity = most_tokens_ * ranks;
    const std::int64_t side = 4 * kernels::kExpertsPerToken;
    ORRERY_CHECK(kernels::load_expert_kernels());
    r.x = Buffer(std::max(kTokensBytes, most_tokens_ * 2 * kExpertHidden));
    r.scales = Buffer(most_tokens_ * kScalesPerRow * 4);
    r.experts = Buffer(most_tokens_ * side);
    r.weights = Buffer(most_tokens_ * side);
    r.slots = Buffer(most_tokens_ * ranks * 4);
    r.counts = Buffer(ranks * ranks * 4);
    r.flags = Buffer(kernels::kExpertFlags * 4);
    r.failed = Buffer(4);
    r.y = Buffer(most_tokens_ * 2 * kExpertHidden);
    r.rows = Buffer(capacity * 2 * kExpertHidden);
    r.row_scales = Buffer(capacity * kScalesPerRow * 4);
    r.row_experts = Buffer(capacity * side);
    r.row_weights = Buffer(capacity * side);
    r.out = Buffer(capacity * 2 * kExpertHidden);
    using kernels::Fill;
    kernels::fill_random(r.x.as<void>(), r.x.bytes() / 2, Fill::bf16_normal, 1, lane.stream);
    kernels::fill_random(r.out.as<void>(), r.out.bytes() / 2, Fill::bf16_normal, 2, lane.stream);
    kernels::fill_random(r.scales.as<void>(), r.scales.bytes() / 4, Fill::float_scale, 3,
                         lane.stream);
    kernels::fill_random(r.weights.as<void>(), r.weights.bytes() / 4, Fill::float_scale, 4,
                         lane.stream);
    ORRERY_CHECK(cudaMemsetAsync(r.flags.as<void>(), 0, std::size_t(r.flags.bytes()), lane.stream));
    ORRERY_CHECK(cudaMemsetAsync(r.failed.as<void>(), 0, 4, lane.stream));
    ORRERY_CHECK(cudaStreamSynchronize(lane.stream));
}

ExpertNode::ExpertNode(const GpuGroup& gpus, int ranks, std::int64_t most_tokens)
    : gpus_(gpus), most_tokens_(most_tokens), ranks_(std::size_t(ranks)) {
    for (int i = 0; i < ranks; ++i) allocate(ranks_[std::size_t(i)], gpus_.lane(i));
    for (int i = 0; i < ranks; ++i) {
        Rank& r = ranks_[std::size_t(i)];
        r.view.rank = i;
        r.view.ranks = ranks;
        r.view.slots = r.slots.as<std::int32_t>();
        r.view.failed = r.failed.as<int>();
        for (int p = 0; p < ranks; ++p) {
            const Rank& peer = ranks_[std::size_t(p)];
            r.view.counts[p] = peer.counts.as<std::int32_t>();
            r.view.flags[p] = peer.flags.as<std::uint32_t>();
            r.view.rows[p] = peer.rows.as<void>();
            r.view.scales[p] = peer.row_scales.as<float>();
            r.view.experts[p] = peer.row_experts.as<std::int32_t>();
            r.view.weights[p] = peer.row_weights.as<float>();
            r.view.out[p] = peer.out.as<__nv_bfloat16>();
        }
    }
}

void ExpertNode::set_routing(Routing routing, std::int64_t tokens) {
    std::vector<std::vector<std::int64_t>> sent;
    for (int i = 0; i < size(); ++i) {
        Rank& r = ranks_[std::size_t(i)];
        const auto experts = draw_experts(routing, tokens, i, size(), 1);
        sent.push_back(rows_by_destination(experts, size()));
        r.view.tokens = tokens;
        const OnGpu on(gpus_.lane(i).device);
        ORRERY_CHECK(cudaMemcpy(r.experts.as<void>(), experts.data(), experts.size() * 4,
                                cudaMemcpyHostToDevice));
    }
    rows_ = count_rows(sent);
    sets_ = int(std::clamp<std::int64_t>(kTokensBytes / (tokens * 2 * kExpertHidden), 1, 16));
    launch(ExpertStep::layout, 0, 0);
    gpus_.synchronize();
    check();
}

void ExpertNode::launch(ExpertStep step, int ctas, int call) {
    for (int i = 0; i < size(); ++i) {
        Rank& r = ranks_[std::size_t(i)];
        const Lane& lane = gpus_.lane(i);
        const OnGpu on(lane.device);
        const bool fp8 = step == ExpertStep::dispatch_fp8;
        if (step == ExpertStep::layout) {
            ORRERY_CHECK(kernels::expert_layout(r.view, r.experts.as<std::int32_t>(),
                                                kRoutedExperts / size(), lane.stream));
        } else if (step == ExpertStep::combine) {
            ORRERY_CHECK(kernels::expert_combine(r.view, r.y.as<__nv_bfloat16>(), kExpertHidden,
                                                 ctas, lane.stream));
        } else {
            const std::int64_t row_bytes = kExpertHidden * (fp8 ? 1 : 2);
            const kernels::ExpertTokens tokens{
                r.x.as<char>() + call % sets_ * r.view.tokens * row_bytes,
                fp8 ? r.scales.as<float>() : nullptr,
                r.experts.as<std::int32_t>(),
                r.weights.as<float>(),
                row_bytes,
                fp8 ? int(kScalesPerRow) : 0};
            ORRERY_CHECK(kernels::expert_dispatch(r.view, tokens, ctas, lane.stream));
        }
    }
}

void ExpertNode::check() const {
    for (const Rank& r : ranks_) {
        int failed = 0;
        ORRERY_CHECK(cudaMemcpy(&failed, r.failed.as<void>(), 4, cudaMemcpyDeviceToHost));
        if (failed) throw InputError("expert all-to-all: a barrier between GPUs timed out");
    }
}

}  // namespace orrery::calibrate
