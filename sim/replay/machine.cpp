#include "replay/machine.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "core/random.hpp"

namespace orrery {
namespace {

constexpr std::size_t index_of(Stream s) { return static_cast<std::size_t>(s); }
constexpr Stream kAllStreams[] = {Stream::compute, Stream::communication, Stream::send};

}  // namespace

ReplayMachine::ReplayMachine(const ReplayInput& input, const Folding& folding,
                             const ReplayOptions& options)
    : input_(input), folding_(folding) {
    const std::size_t classes = folding.classes.size();
    ranks_.resize(classes);
    times_.resize(classes);
    trace_of_.assign(classes, kNotTraced);
    std::uint32_t slots = 0;
    for (std::size_t c = 0; c < classes; ++c) {
        const RankPlace& place = input.ranks[folding.classes[c].representative];
        ranks_[c].program = place.program;
        ranks_[c].place = &place;
        ranks_[c].pace = Pace(place.slowness);
        ranks_[c].first_slot = slots;
        slots += input.programs[place.program].slots;
    }
    arrived_.assign(slots, false);
    for (std::size_t kind = 0; kind < kGroups; ++kind) {
        first_group_[kind] = static_cast<std::uint32_t>(group_members_.size());
        for (const auto& members : folding.group_classes[kind]) group_members_.push_back(&members);
    }
    groups_.resize(group_members_.size());
    if (input.network) links_.emplace(input, folding);
    weights_.resize(classes);
    for (std::uint32_t rank = 0; rank < input.ranks.size(); ++rank) {
        weights_[folding.class_of[rank]] += RankWeight(rank);
    }
    for (const std::uint32_t rank : options.trace.ranks) {
        const std::uint32_t c = folding.class_of.at(rank);
        if (trace_of_[c] != kNotTraced) continue;
        trace_of_[c] = static_cast<std::uint32_t>(traces_.size());
        traces_.push_back({rank, ranks_[c].program, {}});
    }
    open_.resize(traces_.size());
}

void ReplayMachine::start(Simulator& simulator) {
    simulator_ = &simulator;
    for (std::uint32_t rank = 0; rank < ranks_.size(); ++rank) mark(rank);
    end_of_timestamp();
}

const Instruction* ReplayMachine::current(const RankState& rank, Stream s) const {
    const auto& program = input_.programs[rank.program].stream(s);
    const std::uint32_t next = rank.streams[index_of(s)].next;
    return next < program.size() ? &program[next] : nullptr;
}

void ReplayMachine::mark(std::uint32_t rank) {
    if (ranks_[rank].dirty) return;
    ranks_[rank].dirty = true;
    dirty_.push_back(rank);
}

void ReplayMachine::handle(const Event& event) {
    switch (static_cast<Kind>(event.kind())) {
        case kRunEnds:
        case kSendEnds: {
            const std::uint32_t rank = event.target / kStreams;
            const auto s = static_cast<Stream>(event.target % kStreams);
            const StreamState& stream = ranks_[rank].streams[index_of(s)];
            if ((stream.generation & Event::kGenerationMask) != event.generation())
                return;  // re-timed
            complete(rank, s);
            mark(rank);
            return;
        }
        case kMessageArrives:
            arrived_[ranks_[event.target].first_slot + event.generation()] = true;
            mark(event.target);
            return;
        case kCollectiveEnds:
            finish_collective(event.target);
            return;
        case kNetwork:
            handle_network();
            return;
    }
}

// Everything at this time has been handled: start what can start, then re-time compute.
void ReplayMachine::end_of_timestamp() {
    for (std::size_t i = 0; i < dirty_.size(); ++i) advance(dirty_[i]);  // may mark more
    for (const std::uint32_t rank : dirty_) {
        settle(rank);
        ranks_[rank].dirty = false;
    }
    dirty_.clear();
    watch_network();
}

// Transfers on shared links say who they are: a group, or a rank and its message.
constexpr std::uint64_t kMessageTag = std::uint64_t{1} << 63;

// Where what was next has moved on meanwhile, nothing is due.
void ReplayMachine::handle_network() {
    const auto next = links_->next_completion();
    if (!next || *next > simulator_->now()) return;
    watched_ps_ = -1;
    for (const Completion& done : links_->advance_to(simulator_->now())) {
        if ((done.tag & kMessageTag) != 0) {
            message_through(static_cast<std::uint32_t>((done.tag & ~kMessageTag) >> 32),
                            static_cast<std::uint32_t>(done.tag));
        } else {
            finish_collective(static_cast<std::uint32_t>(done.tag));
        }
    }
}

void ReplayMachine::watch_network() {
    if (!links_) return;
    const auto next = links_->next_completion();
    if (!next || next->ps == watched_ps_) return;
    watched_ps_ = next->ps;
    simulator_->schedule(*next, kNetwork, 0);
}

void ReplayMachine::message_through(std::uint32_t rank, std::uint32_t message) {
    const MessageSpec& spec = input_.messages[message];
    const std::uint32_t receiver = folding_.classes[rank].peers[spec.to_pipeline_rank];
    arrived_[ranks_[receiver].first_slot + spec.slot] = true;
    mark(receiver);
    complete(rank, Stream::send);
    mark(rank);
}

void ReplayMachine::advance(std::uint32_t rank) {
    bool progress = true;
    while (progress) {
        progress = false;
        for (const Stream s : kAllStreams) {
            while (step(rank, s)) progress = true;
        }
    }
}

// Starts the stream's next instruction if it may start; true where it also completed at once.
bool ReplayMachine::step(std::uint32_t rank, Stream s) {
    RankState& state = ranks_[rank];
    StreamState& stream = state.streams[index_of(s)];
    if (stream.busy) return false;
    const Instruction* instruction = current(state, s);
    if (instruction == nullptr) return false;
    if (state.streams[index_of(instruction->wait_stream)].next < instruction->wait_count) {
        return false;
    }
    stream.start_ps = now();
    switch (instruction->kind) {
        case InstructionKind::run:
            start_segment(rank, s, segment_of(*instruction, *state.place));
            return false;
        case InstructionKind::collective:
            arrive(rank, collective_of(*instruction, *state.place));
            return false;
        case InstructionKind::send:
            start_send(rank, instruction->index);
            return false;
        case InstructionKind::receive:
            if (!receive(rank, instruction->index)) return false;
            break;
        case InstructionKind::begin_action:
            begin_action(rank, instruction->index);
            break;
        case InstructionKind::end_action:
            end_action(rank, instruction->index);
            break;
        case InstructionKind::wait:
            break;
    }
    ++stream.next;
    return true;
}

void ReplayMachine::complete(std::uint32_t rank, Stream s) {
    RankState& state = ranks_[rank];
    StreamState& stream = state.streams[index_of(s)];
    const Instruction& instruction = *current(state, s);
    const std::int64_t members = folding_.classes[rank].members;
    const bool run = instruction.kind == InstructionKind::run;
    operators_ +=
        members * (run ? input_.segments.operators(segment_of(instruction, *state.place)) : 1);
    segments_ += run;
    fingerprint_.add(weights_[rank], static_cast<std::uint32_t>(s), stream.next, stream.start_ps,
                     now());
    if (trace_of_[rank] != kNotTraced) close_record(rank, s);
    stream.busy = false;
    ++stream.generation;
    ++stream.next;
    times_[rank].end_ps = now();
}

void ReplayMachine::begin_action(std::uint32_t rank, std::uint32_t action) {
    RankState& state = ranks_[rank];
    state.action = action;
    state.action_start_ps = now();
    if (input_.jitter <= 0.0) return;
    const std::uint32_t representative = folding_.classes[rank].representative;
    const double draw = counter_normal(input_.seed, representative, action);
    const double factor = std::max(0.1, 1.0 + input_.jitter * draw);
    state.pace = Pace(input_.ranks[representative].slowness * factor);
}

void ReplayMachine::end_action(std::uint32_t rank, std::uint32_t action) {
    const RankState& state = ranks_[rank];
    const auto& info = input_.programs[state.program].actions[action];
    const auto c = static_cast<std::size_t>(info.action_class);
    times_[rank].ps[c] += now() - state.action_start_ps;
    ++times_[rank].count[c];
}

bool ReplayMachine::receive(std::uint32_t rank, std::uint32_t slot) {
    RankState& state = ranks_[rank];
    if (!arrived_[state.first_slot + slot]) {
        if (state.receive_since_ps < 0) state.receive_since_ps = now();
        return false;
    }
    if (state.receive_since_ps >= 0) {
        times_[rank].message_wait_ps += now() - state.receive_since_ps;
        state.receive_since_ps = -1;
    }
    return true;
}

void ReplayMachine::start_segment(std::uint32_t rank, Stream s, SegmentId segment) {
    RankState& state = ranks_[rank];
    StreamState& stream = state.streams[index_of(s)];
    stream.busy = true;
    if (trace_of_[rank] != kNotTraced) open_record(rank, s);
    if (s == Stream::compute) {
        state.position = 0;
        state.since_ps = now();
        state.unscheduled = true;
        return;
    }
    const SimDuration duration{state.pace.wall(input_.segments.total(segment, 0))};
    simulator_->schedule(simulator_->now() + duration, kRunEnds,
                         rank * kStreams + static_cast<std::uint32_t>(s), stream.generation);
}

void ReplayMachine::start_send(std::uint32_t rank, std::uint32_t index) {
    const MessageSpec& message = input_.messages[index];
    StreamState& stream = ranks_[rank].streams[index_of(Stream::send)];
    stream.busy = true;
    if (trace_of_[rank] != kNotTraced) open_record(rank, Stream::send);
    if (links_ && message.shared.pattern != kNoPattern) {
        const std::uint64_t tag = kMessageTag | (std::uint64_t{rank} << 32) | index;
        links_->start_message(message, rank, tag, simulator_->now());
        return;
    }
    const SimTime end = simulator_->now() + SimDuration{message.duration_ps};
    const std::uint32_t receiver = folding_.classes[rank].peers[message.to_pipeline_rank];
    simulator_->schedule(end, kMessageArrives, receiver, message.slot);
    simulator_->schedule(end, kSendEnds, rank * kStreams + static_cast<std::uint32_t>(Stream::send),
                         stream.generation);
}

void ReplayMachine::arrive(std::uint32_t rank, std::uint32_t index) {
    const CollectiveSpec& spec = input_.collectives[index];
    RankState& state = ranks_[rank];
    state.streams[index_of(Stream::communication)].busy = true;
    state.beside = spec.environment_waiting;
    if (trace_of_[rank] != kNotTraced) open_record(rank, Stream::communication);
    const auto kind = static_cast<std::size_t>(spec.group);
    const std::uint32_t group = first_group_[kind] + folding_.classes[rank].group[kind];
    GroupState& g = groups_[group];
    if (g.arrived == 0) {
        g.collective = index;
    } else {
        const char* name = collective(g).name;
        if (name != spec.name && std::strcmp(name, spec.name) != 0) {
            throw SimulationError(fmt::format("{}: the ranks of a group meet in \"{}\" and \"{}\"",
                                              describe_wait(rank, Stream::communication), spec.name,
                                              collective(g).name));
        }
        if (spec.duration_ps > collective(g).duration_ps) g.collective = index;
    }
    if (++g.arrived == group_members_[group]->size()) move(group);
}

// The last member has arrived: data moves.
void ReplayMachine::move(std::uint32_t group) {
    GroupState& g = groups_[group];
    g.moving_ps = now();
    const CollectiveSpec& spec = collective(g);
    for (const std::uint32_t member : *group_members_[group]) {
        RankState& state = ranks_[member];
        state.beside = spec.environment_moving;
        const auto& program = input_.programs[state.program];
        if (!program.actions.empty()) {
            const auto c = static_cast<std::size_t>(program.actions[state.action].action_class);
            const StreamState& stream = state.streams[index_of(Stream::communication)];
            times_[member].barrier_ps[c] += now() - stream.start_ps;
        }
        mark(member);
    }
    if (links_ && spec.shared.pattern != kNoPattern) {
        const auto kind = static_cast<std::size_t>(spec.group);
        links_->start_collective(spec, group - first_group_[kind], group, simulator_->now());
        return;
    }
    simulator_->schedule(simulator_->now() + SimDuration{spec.duration_ps}, kCollectiveEnds, group,
                         0);
}

void ReplayMachine::finish_collective(std::uint32_t group) {
    for (const std::uint32_t member : *group_members_[group]) {
        const std::uint32_t trace = trace_of_[member];
        if (trace != kNotTraced) {
            open_[trace][index_of(Stream::communication)].moving_ps = groups_[group].moving_ps;
        }
        complete(member, Stream::communication);
        ranks_[member].beside = 0;
        mark(member);
    }
    groups_[group].arrived = 0;
}

// Gives the compute segment in flight the environment of this moment.
void ReplayMachine::settle(std::uint32_t rank) {
    RankState& state = ranks_[rank];
    StreamState& stream = state.streams[index_of(Stream::compute)];
    const std::uint8_t from = state.environment;
    state.environment = state.beside;
    if (!stream.busy) return;
    if (state.unscheduled) {
        state.unscheduled = false;
        schedule_compute_end(rank);
        return;
    }
    if (from == state.beside) return;
    const SegmentId segment = current_segment(state);
    const std::int64_t done = state.position + state.pace.nominal(now() - state.since_ps);
    state.position = input_.segments.carry_over(segment, done, from, state.environment);
    state.since_ps = now();
    ++stream.generation;
    schedule_compute_end(rank);
}

void ReplayMachine::schedule_compute_end(std::uint32_t rank) {
    const RankState& state = ranks_[rank];
    const SegmentId segment = current_segment(state);
    const std::int64_t left = input_.segments.total(segment, state.environment) - state.position;
    const std::uint32_t trace = trace_of_[rank];
    if (trace != kNotTraced) {
        open_[trace][index_of(Stream::compute)].stretches.push_back(
            {now(), state.position, state.environment});
    }
    simulator_->schedule(simulator_->now() + SimDuration{state.pace.wall(left)}, kRunEnds,
                         rank * kStreams + static_cast<std::uint32_t>(Stream::compute),
                         state.streams[index_of(Stream::compute)].generation);
}

void ReplayMachine::open_record(std::uint32_t rank, Stream s) {
    const RankState& state = ranks_[rank];
    const std::int64_t t = now();
    open_[trace_of_[rank]][index_of(s)] = {
        s, state.streams[index_of(s)].next, state.action, t, t, t, state.pace.slowness(), {}};
}

void ReplayMachine::close_record(std::uint32_t rank, Stream s) {
    TraceRecord& record = open_[trace_of_[rank]][index_of(s)];
    record.end_ps = now();
    traces_[trace_of_[rank]].records.push_back(std::move(record));
}

std::string ReplayMachine::describe_wait(std::uint32_t rank, Stream s) const {
    static constexpr const char* kNames[] = {"compute", "communication", "send"};
    const RankState& state = ranks_[rank];
    const Instruction* instruction = current(state, s);
    std::string what = "nothing";
    if (instruction != nullptr) {
        const std::string label = instruction->label < input_.labels.size()
                                      ? input_.labels[instruction->label]
                                      : std::string("?");
        if (state.streams[index_of(s)].busy) {
            what = fmt::format("its peers in a collective ({})", label);
        } else if (instruction->kind == InstructionKind::receive) {
            what = fmt::format("message {} ({})", instruction->index, label);
        } else {
            what = fmt::format("instruction {} of its {} stream ({})", instruction->wait_count,
                               kNames[index_of(instruction->wait_stream)], label);
        }
    }
    return fmt::format("rank {}, {} stream: waits for {}", folding_.classes[rank].representative,
                       kNames[index_of(s)], what);
}

void ReplayMachine::check_finished() const {
    for (std::uint32_t rank = 0; rank < ranks_.size(); ++rank) {
        for (const Stream s : kAllStreams) {
            if (current(ranks_[rank], s) == nullptr) continue;
            throw SimulationError("deadlock: " + describe_wait(rank, s));
        }
    }
}

ReplayResult ReplayMachine::result() const {
    ReplayResult result;
    for (const RankTimes& t : times_) result.makespan_ps = std::max(result.makespan_ps, t.end_ps);
    result.classes = times_;
    result.folding = folding_;
    result.segments = segments_;
    result.operators = operators_;
    result.fingerprint = fingerprint_.hex();
    result.traces = traces_;
    return result;
}

}  // namespace orrery
