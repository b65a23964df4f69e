#pragma once
// Time of an expert dispatch or combine from who sends how many tokens to whom, as DeepEP moves
// them. Combine is dispatch backwards (sums instead of copies, on the way), so sent and received
// change places and every largest-of-both below is the same.
//
// normal (training, prefill), N nodes of G ranks, payload p bytes a token:
//   A token crosses to a node once, from its rank's NIC to the rank of the same index there, which
//   forwards it over NVLink to the ranks that hold its experts.
//     t_nic    = max over ranks of (tokens sent, or received, over the NIC) p / (e_nic NIC)
//     t_nvlink = max over ranks of (tokens sent, or received, over NVLink) p / (e_nvl NVLink)
//     t_sm     = max over ranks of (tokens forwarded, own included) 2 p / (S c)
//     time     = a + l b + latencies;  a, b the larger and smaller of t_nic, max(t_nvlink, t_sm)
//   Both stages run at once on chunks of tokens; the share l of the shorter one shows, since
//   buffers are finite. The slowest rank sets everybody's pace: a sender takes its tokens in order
//   and waits where one destination's buffer is full. S SMs are held throughout; each reads
//   and writes c bytes/s, more where it copies (dispatch) than where it adds up (combine). version
//   2025-02: a rank also stages its (token, node) pairs, own node included, at a fixed rate.
//
// low_latency (decode): each (token, expert) pair is a message of its own, over NVLink to ranks of
//   the node and RDMA elsewhere (until 2025-04: RDMA to every other rank), no SM is held in flight.
//     time[r] = barrier + max(n_nic[r] (p / (e_nic NIC) + m), n_nvlink[r] p / NVLink)
//   n[r] the larger of what rank r sends and receives. Buffers take the worst case, so no rank
//   waits for another's data; a rank's own kernel is what DeepEP prints.
//
// One rank with f times the tokens of each of the others to send (flight()), their mean in the
// traffic: what it sends takes f times as long, so does what combine brings back to it; a node's
// forwarder has it as one of N senders, (N - 1 + f) / N times as long; what arrives for experts
// stays.
//
// Bandwidth as DeepEP prints it: normal across nodes (token, node) pairs, own node included, inside
// a node tokens received, own included, low_latency tokens x top_k; times p over time, a rank's
// mean.
//
// Left out: contention in the fabric (full bisection, and the same index keeps to its own plane),
// other traffic, and slow NICs.

#include <string>
#include <vector>

#include "hardware/cluster_profile.hpp"
#include "hardware/expert_traffic.hpp"

namespace orrery {

enum class ExpertMode : std::uint8_t { normal, low_latency };
// DeepEP's releases by the month of their published figures; later ones change nothing here.
enum class ExpertVersion : std::uint8_t { v2025_02, v2025_04, v2025_06 };

std::string_view to_string(ExpertMode mode);
std::string_view to_string(ExpertVersion version);
// Throw InputError naming `where` and the values there are.
ExpertMode parse_expert_mode(const std::string& text, const std::string& where);
ExpertVersion parse_expert_version(const std::string& text, const std::string& where);

// Bytes of a token of `hidden` features: dispatch FP8 with a 4-byte scale for each 128 (and, in
// low latency, 16 bytes that name it), combine BF16.
Bytes expert_payload(ExpertMode mode, bool dispatch, std::int64_t hidden);

struct ExpertTransfer {
    ExpertMode mode = ExpertMode::normal;
    ExpertVersion version = ExpertVersion::v2025_06;
    Bytes payload;          // of a token
    std::int32_t sms = 24;  // held by the normal mode's kernel
    bool dispatch = true;
};

// Seconds that each way takes alone on its slowest rank; low latency: nothing forwarded.
struct ExpertStages {
    double nic_sent = 0, nic_received = 0, nvlink_sent = 0, nvlink_received = 0, forwarded = 0;
    ExpertStages operator+(const ExpertStages& o) const {
        return {nic_sent + o.nic_sent, nic_received + o.nic_received, nvlink_sent + o.nvlink_sent,
                nvlink_received + o.nvlink_received, forwarded + o.forwarded};
    }
    ExpertStages operator*(double f) const {
        return {f * nic_sent, f * nic_received, f * nvlink_sent, f * nvlink_received,
                f * forwarded};
    }
};

struct ExpertTime {
    Seconds time;               // a rank's kernel: of all (normal), the ranks' mean (low latency)
    Seconds slowest;            // of the ranks
    std::vector<double> ranks;  // s, each rank's kernel
    Seconds nic, nvlink, sm;    // each stage alone, on its slowest rank
    ExpertStages stages;        // the same by direction
    BytesPerSecond bandwidth;   // as DeepEP counts it
    std::string limit;          // "NIC", "NVLink", "SMs", "staging"
    std::int32_t sms = 0;       // held while it runs
    Origin origin = Origin::assumed;
};

// When each rank's part begins and ends, for given times at which the ranks arrive.
struct ExpertTimeline {
    std::vector<double> begin;   // s, data starts to move
    std::vector<double> end;     // s, the rank has all it was sent
    std::vector<double> waited;  // s, from arriving to begin (normal), or for senders (low latency)
};

class ExpertAllToAll {
  public:
    // Throws InputError where the cluster has no block expert_all_to_all.
    explicit ExpertAllToAll(ClusterProfile cluster);
    // Throws InputError: payload or SMs below 1.
    ExpertTime time(const ExpertTraffic& traffic, const ExpertTransfer& transfer) const;
    // Normal: counts are exchanged first (notify), so data starts when the last rank has arrived
    // and its counts have crossed. Low latency: a rank sends at once and is done when it has sent
    // and the last to arrive has sent to it.
    ExpertTimeline timeline(const ExpertTraffic& traffic, const ExpertTransfer& transfer,
                            const std::vector<double>& arrivals) const;
    // Seconds that data moves, without latencies and barriers, where one rank has `fullest` times
    // the tokens of the others to send. `nodes` that the group spans.
    double flight(ExpertMode mode, const ExpertStages& stages, std::int32_t nodes,
                  double fullest) const;
    // Counts to every rank and a barrier, with all arrived: two crossings of each link.
    Seconds notify(const ExpertTraffic& traffic) const;
    const ClusterProfile& cluster() const { return cluster_; }

  private:
    ExpertTime normal(const ExpertTraffic& traffic, const ExpertTransfer& transfer) const;
    ExpertTime low_latency(const ExpertTraffic& traffic, const ExpertTransfer& transfer) const;

    ClusterProfile cluster_;
    ExpertCosts costs_;
    double nic_ = 0, nvlink_ = 0;  // B/s, nominal and achievable
};

}  // namespace orrery
