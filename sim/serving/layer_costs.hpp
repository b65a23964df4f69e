#pragma once
// Costs of an engine's layers, worked out by lowering and pricing. A layer's kernels but core
// attention depend on tokens alone: those of the group (own), and those of the engine's mean group
// (routed experts and all-to-alls); core attention depends on sequences and their lengths. So a
// layer is three tables, read apart and added.

#include <map>
#include <tuple>
#include <vector>

#include "serving/expert_pace.hpp"
#include "serving/kernel_prices.hpp"

namespace orrery {

// Iterations with prompts run packed experts, normal all-to-all and kernels launched one by one;
// others, where the engine says so, masked experts, low-latency all-to-all and a CUDA graph.
enum class Regime : std::uint8_t { prefill, decode };

// Layers that cannot differ in cost.
struct LayerKind {
    LayerSpec layer;
    std::int64_t count = 0;
};
std::vector<LayerKind> layer_kinds(const ModelSpec& model);

// Parts of a layer without core attention.
struct LinearTimes {
    PhaseTime in, out, mlp, experts;
    double dispatch = 0, combine = 0;  // s in flight; normal: with the exchange of counts
    double kernel = 0;                 // s, low latency: each kernel that sends or receives
    double launches = 0;               // kernels of the layer, core attention's included
    LinearTimes& operator+=(const LinearTimes& other);
    LinearTimes operator*(double factor) const;
};

class LayerCosts {
  public:
    LayerCosts(const EngineSpec& spec, const OperatorTimeModel& compute);

    const std::vector<LayerKind>& kinds() const { return kinds_; }  // the last one is MTP's, if any
    bool has_mtp_kind() const { return has_mtp_; }

    // `overlapped`: GEMMs leave the normal all-to-all's SMs (two micro-batches). What runs on a
    // group's own tokens; routed experts and all-to-alls of groups with this many tokens each
    // (nothing in a dense layer); and what these take longer where the fullest group has more.
    LinearTimes own(std::size_t kind, Regime regime, std::int64_t tokens, bool overlapped);
    LinearTimes experts(std::size_t kind, Regime regime, std::int64_t tokens, bool overlapped);
    ExpertPace::Longer uneven(std::size_t kind, Regime regime, std::int64_t mean, double fullest);
    // Core attention in the cheaper form, with what only that form needs. All environments.
    PhaseTime prefill_core(std::size_t kind, const InferenceBatch& batch, bool overlapped);
    PhaseTime decode_core(std::size_t kind, const InferenceBatch& batch, Regime regime,
                          bool overlapped);
    // The attention kernels alone, in the forms that forms() chooses.
    PhaseTime core_kernel(std::size_t kind, const InferenceBatch& batch, Regime regime,
                          bool overlapped);
    AttentionForms forms(std::size_t kind, const InferenceBatch& batch);

    double embedding(Regime regime, std::int64_t tokens);
    double head(Regime regime, std::int64_t rows);
    double mtp_front(Regime regime, std::int64_t tokens);
    double send(std::int64_t tokens);  // to the next stage; 0 with one stage
    ExpertPaceAt pace(std::size_t kind, Regime regime, std::int64_t tokens);

    KernelPrices& prices() { return prices_; }
    const EngineSpec& spec() const { return spec_; }

  private:
    bool low_latency(Regime regime) const {
        return regime == Regime::decode && spec_.low_latency_decode;
    }
    ExpertPace& pace_of(std::size_t kind, Regime regime);
    PhaseConditions conditions(std::size_t kind, Regime regime, std::int64_t tokens,
                               bool overlapped);
    Seconds gap(Regime regime) const;
    double total(const std::vector<Operator>& operators, Regime regime);

    const EngineSpec& spec_;
    KernelPrices prices_;
    std::vector<LayerKind> kinds_;
    bool has_mtp_ = false;
    std::map<std::pair<std::size_t, Regime>, ExpertPace> paces_;
    std::map<std::tuple<std::size_t, Regime, std::int64_t, bool>, LinearTimes> own_, experts_;
};

}  // namespace orrery
