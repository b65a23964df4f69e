#pragma once
// The state machine behind replay(): one RankState per class of ranks, advanced by three kinds of
// events (a segment or send ends, a message arrives, a collective ends). It is a System of the
// Simulator: events only mark what changed; end_of_timestamp() starts what can start and re-times
// compute whose environment changed, so the order of events at one time cannot matter.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "des/fingerprint.hpp"
#include "des/simulator.hpp"
#include "replay/pace.hpp"
#include "replay/replay.hpp"
#include "replay/shared_links.hpp"

namespace orrery {

class ReplayMachine {
  public:
    ReplayMachine(const ReplayInput& input, const Folding& folding, const ReplayOptions& options);

    // Marks every rank as ready; call once before Simulator::run.
    void start(Simulator& simulator);
    void handle(const Event& event);
    void end_of_timestamp();

    // Throws SimulationError where a rank has not finished.
    void check_finished() const;
    ReplayResult result() const;

  private:
    enum Kind : std::uint8_t { kRunEnds, kSendEnds, kMessageArrives, kCollectiveEnds, kNetwork };

    struct StreamState {
        std::uint32_t next = 0;  // instructions completed = index of the current one
        std::uint32_t generation = 0;
        std::int64_t start_ps = 0;
        bool busy = false;
    };
    struct RankState {
        std::array<StreamState, kStreams> streams;
        Pace pace;
        std::uint32_t program = 0;
        const RankPlace* place = nullptr;
        std::uint32_t action = 0;
        std::int64_t action_start_ps = 0;
        std::int64_t receive_since_ps = -1;
        // The compute segment in flight: it stood at `position` (in `environment`) at `since_ps`.
        std::int64_t since_ps = 0, position = 0;
        std::uint8_t environment = 0;
        std::uint8_t beside = 0;   // environment the communication stream imposes now
        bool unscheduled = false;  // the segment has started, its end is not yet scheduled
        bool dirty = false;
        std::uint32_t first_slot = 0;  // into arrived_
    };
    struct GroupState {
        std::uint32_t arrived = 0;     // rank classes
        std::uint32_t collective = 0;  // in progress: the longest that a member asked for
        std::int64_t moving_ps = 0;
    };

    std::int64_t now() const { return simulator_->now().ps; }
    const Instruction* current(const RankState& rank, Stream s) const;
    SegmentId current_segment(const RankState& rank) const {  // of the compute stream
        return segment_of(*current(rank, Stream::compute), *rank.place);
    }
    const CollectiveSpec& collective(const GroupState& g) const {
        return input_.collectives[g.collective];
    }
    void mark(std::uint32_t rank);
    void advance(std::uint32_t rank);
    bool step(std::uint32_t rank, Stream s);
    void complete(std::uint32_t rank, Stream s);
    void begin_action(std::uint32_t rank, std::uint32_t action);
    void end_action(std::uint32_t rank, std::uint32_t action);
    bool receive(std::uint32_t rank, std::uint32_t slot);
    void start_segment(std::uint32_t rank, Stream s, SegmentId segment);
    void start_send(std::uint32_t rank, std::uint32_t message);
    void message_through(std::uint32_t rank, std::uint32_t message);
    void handle_network();
    void watch_network();
    void arrive(std::uint32_t rank, std::uint32_t collective);
    void move(std::uint32_t group);
    void settle(std::uint32_t rank);
    void schedule_compute_end(std::uint32_t rank);
    void finish_collective(std::uint32_t group);
    std::string describe_wait(std::uint32_t rank, Stream s) const;
    void open_record(std::uint32_t rank, Stream s);
    void close_record(std::uint32_t rank, Stream s);

    const ReplayInput& input_;
    const Folding& folding_;
    std::optional<SharedLinks> links_;
    std::int64_t watched_ps_ = -1;  // when the next event of the network is scheduled
    Simulator* simulator_ = nullptr;
    std::vector<RankState> ranks_;
    std::vector<RankTimes> times_;
    std::vector<bool> arrived_;                         // messages, all ranks' slots in a row
    std::vector<GroupState> groups_;                    // all kinds in a row
    std::array<std::uint32_t, kGroups> first_group_{};  // of each kind, into groups_
    std::vector<const std::vector<std::uint32_t>*> group_members_;  // rank classes
    std::vector<std::uint32_t> dirty_;
    Fingerprint fingerprint_;
    std::vector<RankWeight> weights_;  // of all members of a class
    std::int64_t segments_ = 0;
    std::int64_t operators_ = 0;
    // Tracing: index into traces_ by rank class, or kNotTraced.
    static constexpr std::uint32_t kNotTraced = UINT32_MAX;
    std::vector<std::uint32_t> trace_of_;
    std::vector<RankTrace> traces_;
    std::vector<std::array<TraceRecord, kStreams>> open_;  // by trace
};

}  // namespace orrery
