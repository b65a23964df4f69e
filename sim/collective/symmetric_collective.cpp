#include "collective/symmetric_collective.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include <fmt/format.h>

#include "collective/flow_algorithms.hpp"
#include "collective/rank_order.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

constexpr double kLeastCoefficient = 0x1p-24;  // the flow network's; less is no load

class Stages {
  public:
    Stages(RoutedNetwork& network, const FlowCollectiveRequest& request)
        : network_(network),
          kind_(request.kind),
          n_(request.ranks),
          local_(n_ % request.ranks_per_node == 0 ? request.ranks_per_node : 1),
          nodes_(n_ / local_),
          bytes_(request.bytes.value()) {}

    std::vector<SymmetricStage> take() { return std::move(stages_); }

    void pairwise() {
        begin(kind_, FlowAlgorithm::pairwise, n_, nodes_, bytes_);
        const bool all = kind_ == FlowCollective::all_to_all;
        const std::uint32_t rounds = all ? n_ - 1 : 1;
        for (std::uint32_t i = 0; i < n_; ++i) {
            for (std::uint32_t r = 1; r <= rounds; ++r) send(i, (i + r) % n_, bytes_ / rounds);
        }
        wait(0, n_ - 1, 1);
        end();
    }

    void ring() {
        begin(kind_, FlowAlgorithm::ring, n_, nodes_, bytes_);
        const double steps = ring_steps(kind_, n_), chunk = bytes_ / n_ / local_;
        for (std::uint32_t c = 0; c < local_; ++c) {
            for (std::uint32_t p = 0; p < n_; ++p) {
                send(ring_rank(c, p, local_), ring_rank(c, (p + 1) % n_, local_), steps * chunk);
            }
        }
        const double rounds = steps / (n_ - 1), across = nodes_ > 1 ? rounds * (nodes_ - 1) : 0;
        if (nodes_ > 1)
            wait(ring_rank(0, local_ - 1, local_), ring_rank(0, local_, local_), across);
        if (local_ > 1) wait(0, 1, steps - across);
        end();
    }

    void tree() {
        begin(kind_, FlowAlgorithm::tree, n_, nodes_, bytes_);
        for (std::uint32_t c = 0; c < local_; ++c) {
            node_trees(c, bytes_ / 2 / local_);
            for (std::uint32_t node = 0; node < nodes_; ++node) chain(node, c, bytes_ / local_);
        }
        wait_tree();
        if (local_ > 1) wait(0, 1, 2.0 * (local_ - 1));
        end();
    }

    void nvls() {
        begin(kind_, FlowAlgorithm::nvls, n_, nodes_, bytes_);
        if (local_ < 2) throw InputError("--algorithm nvls: must have several ranks a node");
        const bool all = kind_ == FlowCollective::all_reduce;
        if (!all && nodes_ > 1) {
            throw InputError("--algorithm nvls: must be an all_reduce where it goes over nodes");
        }
        const double part = bytes_ / local_;
        for (std::uint32_t i = 0; i < n_; ++i) {
            const std::uint32_t other = i % local_ > 0 ? i - 1 : i + 1;
            const bool gathers = kind_ == FlowCollective::all_gather;
            const double up = all ? bytes_ + part : gathers ? part : bytes_ - part;
            const double down = all ? bytes_ + part : gathers ? bytes_ - part : part;
            put(network_.path(i, other).hops.front(), up);
            put(network_.path(other, i).hops.back(), down);
        }
        for (std::uint32_t c = 0; nodes_ > 1 && c < local_; ++c) node_trees(c, part / 2);
        wait(0, 1, 2);
        wait_tree();
        end();
    }

    void recursive_doubling() {
        if (!std::has_single_bit(n_)) {
            throw InputError(
                fmt::format("--ranks {}: recursive doubling needs a power of two", n_));
        }
        for (std::uint32_t bit = 1; bit < n_; bit *= 2) {
            begin(kind_, FlowAlgorithm::recursive_doubling, n_, nodes_, bytes_);
            for (std::uint32_t i = 0; i < n_; ++i) send(i, i ^ bit, bytes_);
            wait(0, bit, 1);
            end();
        }
    }

    void hierarchical() {
        if (local_ < 2 || nodes_ < 2) {
            throw InputError(
                "--algorithm hierarchical: must have several nodes, and several ranks in each");
        }
        if (kind_ != FlowCollective::all_gather) inside(FlowCollective::reduce_scatter);
        across();
        if (kind_ != FlowCollective::reduce_scatter) inside(FlowCollective::all_gather);
    }

  private:
    void begin(FlowCollective kind, FlowAlgorithm algorithm, std::uint32_t ranks,
               std::uint32_t nodes, double bytes) {
        load_.assign(network_.flows().links(), 0.0);
        stages_.emplace_back().shape = {.kind = kind,
                                        .algorithm = algorithm,
                                        .ranks = double{1} * ranks,
                                        .nodes = double{1} * nodes,
                                        .bytes = bytes};
    }
    void put(const RouteHop& hop, double bytes) {
        load_[hop.link.index] += hop.coefficient * bytes;
    }
    void send(std::uint32_t from, std::uint32_t to, double bytes) {
        // Pairs spread over parallel links as their messages would.
        for (const RouteHop& hop : network_.path(from, to).hops) put(hop, bytes);
    }
    void wait(std::uint32_t from, std::uint32_t to, double times) {
        stages_.back().latency_ps +=
            times * static_cast<double>(network_.path(from, to).latency.ps);
    }
    void end() {
        SymmetricStage& stage = stages_.back();
        stage.bytes = *std::max_element(load_.begin(), load_.end());
        for (std::uint32_t l = 0; l < load_.size(); ++l) {
            const double coefficient = load_[l] / stage.bytes;
            if (coefficient >= kLeastCoefficient) stage.route.push_back({{l}, coefficient});
        }
    }

    // Two trees of the nodes' GPUs of one index, up and down.
    void node_trees(std::uint32_t gpu, double bytes) {
        for (std::uint32_t node = 1; node < nodes_; ++node) {
            edge(node, *tree_parent(node, nodes_), gpu, bytes);
        }
        for (std::uint32_t node = 0; node < nodes_; ++node) {
            const auto parent = second_tree_parent(node, nodes_);
            if (parent) edge(node, *parent, gpu, bytes);
        }
    }
    void edge(std::uint32_t a, std::uint32_t b, std::uint32_t gpu, double bytes) {
        send(a * local_ + gpu, b * local_ + gpu, bytes);
        send(b * local_ + gpu, a * local_ + gpu, bytes);
    }
    // From every GPU of the node to `head` and back.
    void chain(std::uint32_t node, std::uint32_t head, double bytes) {
        for (std::uint32_t i = 0; i + 1 < local_; ++i) {
            const std::uint32_t a = node * local_ + (head + i) % local_;
            const std::uint32_t b = node * local_ + (head + i + 1) % local_;
            send(a, b, bytes);
            send(b, a, bytes);
        }
    }
    void wait_tree() {
        if (nodes_ > 1) wait(0, local_, 2 * std::floor(std::log2(nodes_)));
    }
    void inside(FlowCollective kind) {
        begin(kind, FlowAlgorithm::ring, local_, 1, bytes_);
        const double chunk = bytes_ / local_;
        for (std::uint32_t i = 0; i < n_; ++i) {
            for (std::uint32_t j = 0; j < local_; ++j) {
                const std::uint32_t other = i / local_ * local_ + j;
                if (other != i) send(i, other, chunk);
            }
        }
        wait(0, 1, local_ - 1);
        end();
    }
    void across() {
        begin(kind_, FlowAlgorithm::ring, nodes_, nodes_, bytes_ / local_);
        const double steps = ring_steps(kind_, nodes_);
        for (std::uint32_t i = 0; i < n_; ++i) {
            send(i, (i + local_) % n_, steps * bytes_ / local_ / nodes_);
        }
        wait(0, local_, steps);
        end();
    }

    RoutedNetwork& network_;
    FlowCollective kind_;
    std::uint32_t n_, local_, nodes_;
    double bytes_;
    std::vector<double> load_;  // bytes, by LinkId
    std::vector<SymmetricStage> stages_;
};

bool is_p2p(FlowCollective kind) {
    return kind == FlowCollective::send_recv || kind == FlowCollective::all_to_all;
}

}  // namespace

void check_algorithm(FlowCollective kind, FlowAlgorithm algorithm) {
    const bool only_all_reduce =
        algorithm == FlowAlgorithm::tree || algorithm == FlowAlgorithm::recursive_doubling;
    if (is_p2p(kind) != (algorithm == FlowAlgorithm::pairwise) ||
        (only_all_reduce && kind != FlowCollective::all_reduce)) {
        throw InputError(fmt::format("--algorithm {}: must be one that does {}",
                                     to_string(algorithm), to_string(kind)));
    }
}

std::vector<SymmetricStage> symmetric_stages(RoutedNetwork& network,
                                             const FlowCollectiveRequest& request,
                                             FlowAlgorithm algorithm) {
    check_algorithm(request.kind, algorithm);
    Stages stages(network, request);
    switch (algorithm) {
        case FlowAlgorithm::tree:
            stages.tree();
            break;
        case FlowAlgorithm::nvls:
            stages.nvls();
            break;
        case FlowAlgorithm::recursive_doubling:
            stages.recursive_doubling();
            break;
        case FlowAlgorithm::hierarchical:
            stages.hierarchical();
            break;
        case FlowAlgorithm::pairwise:
            stages.pairwise();
            break;
        default:
            stages.ring();
            break;
    }
    return stages.take();
}

SimDuration run_stage(RoutedNetwork& network, const SymmetricStage& stage, SimDuration latency,
                      std::optional<BytesPerSecond> cap) {
    const SimTime start = network.now();
    network.flows().start(
        {.route = stage.route, .bytes = Bytes(stage.bytes), .latency = latency, .cap = cap}, start);
    while (const auto next = network.next_completion()) network.advance_to(*next);
    return network.now() - start;
}

}  // namespace orrery
