#pragma once
// Stream programs: what one rank does, as in-order streams of instructions with waits between them.
// Ranks that do the same share one program. Across ranks, messages meet by (receiver, slot) and
// collectives by group: a collective starts at each member's arrival, moves data at the last
// arrival and ends for all at once.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hardware/operator.hpp"
#include "replay/segment.hpp"
#include "replay/shared_network.hpp"

namespace orrery {

inline constexpr int kStreams = 3;
enum class Stream : std::uint8_t { compute, communication, send };

enum class InstructionKind : std::uint8_t {
    run,           // index: SegmentId
    collective,    // index: into ReplayProgramSet::collectives
    send,          // index: into messages; the stream is busy until the message has arrived
    receive,       // index: slot; waits until the message has arrived
    begin_action,  // index: action
    end_action,    // index: action
    wait,          // nothing of its own: what is behind it waits for its wait_stream
};

// Runs after every earlier instruction of its stream, and once the stream `wait_stream` has
// completed `wait_count` instructions (0: no wait).
struct Instruction {
    InstructionKind kind = InstructionKind::run;
    Stream wait_stream = Stream::compute;
    std::uint32_t wait_count = 0;
    std::uint32_t index = 0;
    std::uint32_t label = 0;  // into ReplayProgramSet::labels: what it belongs to, for people
    bool varies = false;  // run, collective: ranks differ, RankPlace's variant is added to index
};

// Passes whose time is accounted apart.
enum class ActionClass : std::uint8_t {
    forward,
    backward,         // full backwards and the input half of split ones
    backward_weight,  // split weight gradients
    forward_backward,
    optimizer,
};
inline constexpr int kActionClasses = 5;

struct ActionInfo {
    ActionClass action_class = ActionClass::forward;
    std::string name;  // "F12 stage 0", "F12 stage 0 & B3 stage 15"
    std::int32_t forward_micro_batch = 0, backward_micro_batch = 0;  // of passes that it has
};

struct RankProgram {
    std::array<std::vector<Instruction>, kStreams> streams;
    std::vector<ActionInfo> actions;
    std::uint32_t slots = 0;  // messages it receives

    std::vector<Instruction>& stream(Stream s) { return streams[static_cast<std::size_t>(s)]; }
    const std::vector<Instruction>& stream(Stream s) const {
        return streams[static_cast<std::size_t>(s)];
    }
};

struct CollectiveSpec {
    std::int64_t duration_ps = 0;  // once all members have arrived
    Group group = Group::none;     // none: every rank
    // Environments the compute stream of a member is in meanwhile.
    std::uint8_t environment_waiting = 0, environment_moving = 0;
    const char* name = "";
    SharedTransfer shared = {};  // of groups of kind expert, where the input has a network
};

struct MessageSpec {
    std::int64_t duration_ps = 0;  // from the start of the send to its arrival
    std::uint32_t to_pipeline_rank = 0;
    std::uint32_t slot = 0;  // at the receiver
    SharedTransfer shared = {};
};

inline constexpr int kGroups = 7;  // values of Group

// Where one rank stands: its program, its pace, its groups.
struct RankPlace {
    std::uint32_t program = 0;
    double slowness = 1.0;                       // multiplies its compute durations
    std::array<std::uint32_t, kGroups> group{};  // id of its group of each kind
    // Added to the index of instructions that vary: ranks of one program with work of their own.
    // Members of a group have the same collective_variant.
    std::uint32_t segment_variant = 0, collective_variant = 0;
};

// The segment a `run` stands for, or the collective, on a rank at `place`.
constexpr SegmentId segment_of(const Instruction& instruction, const RankPlace& place) {
    return instruction.index + (instruction.varies ? place.segment_variant : 0);
}
constexpr std::uint32_t collective_of(const Instruction& instruction, const RankPlace& place) {
    return instruction.index + (instruction.varies ? place.collective_variant : 0);
}

// Everything a replay needs. Rank numbering: rank = pipeline rank x lanes + lane; a message goes to
// the same lane of another pipeline rank.
struct ReplayInput {
    SegmentTable segments;
    std::vector<RankProgram> programs;
    std::vector<CollectiveSpec> collectives;
    std::vector<MessageSpec> messages;
    std::vector<std::string> labels;
    std::vector<RankPlace> ranks;
    std::array<std::uint32_t, kGroups> group_count{};
    std::uint32_t lanes = 1;
    double jitter = 0.0;  // relative standard deviation of an action's compute durations, per rank
    std::uint64_t seed = 0;
    // Links that transfers with a pattern share; without it every one takes its duration.
    std::optional<SharedNetwork> network;
};

}  // namespace orrery
