// Fat trees of two and three layers, with rails, planes and oversubscription.
//
//   ports k, oversubscription o: a leaf has d = k o / (1 + o) ports down and u = k - d up.
//   two layers    ceil(n / d) leaves, as many spines as their uplinks fill; at most k leaves
//   three layers  pods of k/2 leaves and k/2 aggregation switches, cores as the pods' uplinks fill
// A full tree with o = 1: k^2/2 endpoints, 3k/2 switches, k^2/2 links between them; or k^3/4,
// 5k^2/4, k^3/2.

#include <cmath>
#include <map>

#include <fmt/format.h>

#include "core/error.hpp"
#include "network/topology_builders.hpp"

namespace orrery {
namespace {

using Switches = std::vector<std::uint32_t>;

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

class Builder {
  public:
    Builder(Topology& topology, const FatTree& tree, const FabricCables& cables)
        : topology_(topology), tree_(tree), cables_(cables) {
        const double down =
            static_cast<double>(tree.ports) * tree.oversubscription / (1 + tree.oversubscription);
        down_ = static_cast<std::int64_t>(std::llround(down));
        up_ = tree.ports - down_;
        if (tree.ports < 2 || down_ < 1 || up_ < 1 || (tree.layers != 2 && tree.layers != 3)) {
            throw InputError(
                fmt::format("topology {}: {} ports, oversubscription {}, {} layers: "
                            "is no fat tree",
                            topology.name, tree.ports, tree.oversubscription, tree.layers));
        }
    }

    void build(Endpoints endpoints) {
        const Switches leaves = attach(endpoints);
        const auto count = static_cast<std::int64_t>(leaves.size());
        if (tree_.layers == 2) {
            refuse_if(count > tree_.ports, endpoints.size(), tree_.ports * down_);
            join(leaves, up_, "spine", 2, 0);
            return;
        }
        const std::int64_t in_pod = tree_.ports / 2, pods = divide_up(count, in_pod);
        refuse_if(pods > tree_.ports, endpoints.size(), tree_.ports * in_pod * down_);
        // Aggregation switch i of every pod joins the cores of group i.
        std::vector<Switches> by_place(static_cast<std::size_t>(in_pod));
        for (std::int64_t pod = 0; pod < pods; ++pod) {
            const auto first = leaves.begin() + pod * in_pod;
            const auto last = leaves.begin() + std::min(count, (pod + 1) * in_pod);
            const Switches above = join({first, last}, up_, "agg", 2, pod * in_pod);
            for (std::size_t i = 0; i < above.size(); ++i) by_place[i].push_back(above[i]);
        }
        std::int64_t cores = 0;
        if (pods == 1) return;
        for (const Switches& group : by_place) {
            if (!group.empty()) {
                cores += static_cast<std::int64_t>(
                    join(group, tree_.ports - in_pod, "core", 3, cores).size());
            }
        }
    }

  private:
    void refuse_if(bool too_many, std::size_t endpoints, std::int64_t most) const {
        if (!too_many) return;
        throw InputError(fmt::format(
            "topology {}: {} endpoints: a fat tree of {} layers with {} ports takes at most {}",
            topology_.name, endpoints, tree_.layers, tree_.ports, most));
    }

    std::string name_of(const char* kind, std::int64_t index) const {
        if (tree_.plane < 0) return fmt::format("{}{}", kind, index);
        return fmt::format("plane{}.{}{}", tree_.plane, kind, index);
    }

    // Endpoints to leaves: in order, or by rail.
    Switches attach(Endpoints endpoints) {
        Switches leaves;
        std::map<std::int64_t, std::uint32_t> by_place;
        for (std::size_t i = 0; i < endpoints.size(); ++i) {
            const auto rank = static_cast<std::int64_t>(i);
            const std::int64_t node = rank / tree_.rails, rail = rank % tree_.rails;
            const std::int64_t place = node / down_ * tree_.rails + rail;
            const auto [at, is_new] = by_place.try_emplace(place, 0);
            if (is_new) {
                const auto index = static_cast<std::int64_t>(leaves.size());
                at->second =
                    topology_.add_node({NodeKind::fabric, name_of("leaf", index), 1, tree_.plane});
                leaves.push_back(at->second);
            }
            topology_.add_link(endpoints[i], at->second, cables_.bandwidth,
                               cables_.endpoint_latency, LinkClass::nic);
        }
        return leaves;
    }

    // Joins switches, `up` cables each, to as many switches above as the cables fill.
    Switches join(const Switches& below, std::int64_t up, const char* kind, std::int32_t layer,
                  std::int64_t first_name) {
        // One leaf that needs nothing above it.
        if (below.size() == 1 && tree_.layers == 2) return {};
        const auto cables = static_cast<std::int64_t>(below.size()) * up;
        // A pod's aggregation layer keeps half of its ports for the cores.
        const bool is_middle = tree_.layers == 3 && layer == 2;
        const std::int64_t most = is_middle ? tree_.ports / 2 : tree_.ports;
        std::int64_t count = divide_up(cables, most);
        if (is_middle) count = up;  // every leaf reaches every aggregation switch
        while (up % count != 0 && count < up) ++count;
        Switches above;
        for (std::int64_t i = 0; i < count; ++i) {
            above.push_back(topology_.add_node(
                {NodeKind::fabric, name_of(kind, first_name + i), layer, tree_.plane}));
        }
        for (std::size_t b = 0; b < below.size(); ++b) {
            for (std::int64_t u = 0; u < up; ++u) {
                const auto to = static_cast<std::size_t>(u % count);
                topology_.add_link(below[b], above[to], cables_.bandwidth, cables_.switch_latency,
                                   LinkClass::fabric);
            }
        }
        return above;
    }

    Topology& topology_;
    FatTree tree_;
    FabricCables cables_;
    std::int64_t down_ = 0, up_ = 0;
};

}  // namespace

void add_fat_tree(Topology& topology, Endpoints endpoints, const FatTree& tree,
                  const FabricCables& cables) {
    Builder(topology, tree, cables).build(endpoints);
}

void add_multi_plane(Topology& topology, Endpoints endpoints, std::int64_t planes, FatTree tree,
                     const FabricCables& cables) {
    if (planes < 1 || endpoints.size() % static_cast<std::size_t>(planes) != 0) {
        throw InputError(fmt::format("topology {}: {} endpoints: must be a multiple of {} planes",
                                     topology.name, endpoints.size(), planes));
    }
    for (std::int64_t plane = 0; plane < planes; ++plane) {
        std::vector<std::uint32_t> own;
        for (std::size_t i = static_cast<std::size_t>(plane); i < endpoints.size();
             i += static_cast<std::size_t>(planes)) {
            own.push_back(endpoints[i]);
        }
        tree.plane = static_cast<std::int32_t>(plane);
        add_fat_tree(topology, own, tree, cables);
    }
}

}  // namespace orrery
