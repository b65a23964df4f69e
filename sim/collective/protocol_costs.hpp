#pragma once
// What LL, LL128 and Simple cost, fitted to times measured inside a node.
//
//   n ranks, B bytes, q = B / n a step's chunk, s steps, w what a rank sends; link l = NVLink's
//   rate
//     ring        t = base + s step + s q / rate + q local        base, step, rate, local: of the
//                 (local: the own chunk copied or summed aside)   protocol, over all kinds and n
//     tree        t = base + 2 (n - 1) step + B / rate + B (n - 2)/n local         (inside a node a
//                 chain; ranks in its middle send up and down)
//     send_recv, all_to_all   t = base + c / channel rate + w / rate,  c bytes of a channel, of the
//                 kind: LL and Simple are not told apart by what was measured
//   by least squares of relative errors, no coefficient below 0, and rates (but a tree's) at most
//   the link's times the protocol's payload share (LL 1/2, LL128 15/16).
//
//   correction(kind, n, q) = measured / t, linear in log q between the sizes measured (beyond them
//   the nearest), of n ranks or the next fewer measured. It holds what the line does not: channels
//   that come in one by one, chunks, caches.
//
// Channels of a message of b bytes between n ranks (NCCL 2.28 src/enqueue.cc; it gives the CTAs of
// every measured row): at least 32 / n, each at least 8 KiB, twice as many while more than 16 MiB
// are on one, at most 32. All messages of a rank share its 32.
//
// Another NVLink rate scales what bytes cost, not base and step. Between nodes nothing is measured:
// a step adds NCCL's own difference of a step over the network and over NVLink (nccl_latency), and
// bytes go at the network's pace (flows) times the payload share where that is slower. The
// correction is then that of a node's ranks at the same chunk (tree: B over the node's ranks), and
// of what bytes take only.

#include <map>
#include <optional>
#include <vector>

#include "collective/nccl_tuning.hpp"

namespace orrery {

// A collective's cost beside what links and sharing take. time = (fixed + max(moving, time of the
// flows) + local) correction.
struct ProtocolPrice {
    double fixed = 0;       // s: launch and steps
    double moving = 0;      // s: bytes at the protocol's own pace
    double local = 0;       // s: bytes that the links do not see
    double correction = 1;  // measured over fitted
    double payload = 1;     // over bytes on the wire
    Origin origin = Origin::assumed;
};

class ProtocolCosts {
  public:
    struct Shape {
        FlowCollective kind = FlowCollective::all_reduce;
        FlowAlgorithm algorithm = FlowAlgorithm::ring;
        FlowProtocol protocol = FlowProtocol::simple;
        double ranks = 2, nodes = 1;
        double bytes = 1;
    };
    struct Row {
        Shape shape;
        double time = 0;  // s
    };

    // Rows of the cluster's protocol_times with NCCL's own number of channels; a row of NCCL's own
    // choice counts as what the tuning says it is. nullopt: no such table. Throws InputError.
    static std::optional<ProtocolCosts> of(const ClusterProfile& cluster, const NcclTuning& tuning);
    // From rows as they are; `link` is the NVLink rate they were measured at, B/s, `scale` what a
    // byte takes here over what it took there.
    ProtocolCosts(std::vector<Row> rows, const NcclTuning& tuning, double link, double scale = 1);

    // nullopt: never measured (nvls, hierarchical, ...).
    std::optional<ProtocolPrice> price(const Shape& shape) const;
    // Alone inside a node with links that keep up.
    std::optional<Seconds> time(const Shape& shape) const;

    // As fitted: ring base, step (s), 1/rate, local (s/B); tree likewise; p2p base, s/B of a
    // channel, s/B.
    struct Fit {
        FlowAlgorithm algorithm;
        FlowProtocol protocol;  // none: p2p
        FlowCollective kind;    // of p2p
        std::vector<double> x;
    };
    const std::vector<Fit>& fits() const { return fits_; }
    const std::vector<Row>& rows() const { return rows_; }

  private:
    using Curve = std::map<double, double>;  // log2 of the chunk -> measured / fitted

    const Fit* find(const Shape& shape) const;
    void fit_all(const NcclTuning& tuning);
    double correction(const Shape& shape) const;

    std::vector<Row> rows_;
    double link_, scale_;
    Origin origin_ = Origin::measured;
    std::vector<Fit> fits_;
    std::map<std::pair<FlowAlgorithm, FlowProtocol>, double> net_step_;  // s, beside NVLink's
    std::map<std::tuple<FlowCollective, FlowAlgorithm, FlowProtocol>, std::map<double, Curve>>
        corrections_;  // by ranks
};

// CTAs that NCCL gives send_recv or all_to_all of `bytes` between `ranks` ranks of a node.
double p2p_channels(FlowCollective kind, double ranks, double bytes);
// Payload over bytes on the wire.
double payload_share(FlowProtocol protocol);

}  // namespace orrery
