#pragma once
// A slow, obviously right twin of the replay: every rank on its own, every operator on its own,
// time advanced to the next completion anywhere by scanning everything. No prefix sums, no queue,
// no folding, no generations.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "replay/program.hpp"

namespace orrery::test {

class ReplayTwin {
  public:
    explicit ReplayTwin(const ReplayInput& input) : input_(input), ranks_(input.ranks.size()) {
        for (std::size_t r = 0; r < ranks_.size(); ++r) {
            ranks_[r].arrived.assign(program(r).slots, false);
        }
    }

    // When each rank's last segment, send or collective ends.
    std::vector<std::int64_t> end_times() {
        while (start_what_can()) {
        }
        while (true) {
            const std::int64_t step = time_to_next();
            if (step == kNever) break;
            advance(step);
            while (start_what_can()) {
            }
            set_environments();
        }
        std::vector<std::int64_t> ends;
        for (const Rank& r : ranks_) ends.push_back(r.end);
        return ends;
    }

  private:
    static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
    struct StreamState {
        std::size_t next = 0;
        bool busy = false;
        bool moving = false;          // collectives: all have arrived
        std::uint32_t operation = 0;  // of the segment
        std::int64_t left = 0;        // of the operator, send or collective
    };
    struct Rank {
        StreamState streams[kStreams];
        std::vector<bool> arrived;
        int environment = 0;
        std::int64_t end = 0;
    };

    const RankProgram& program(std::size_t r) const {
        return input_.programs[input_.ranks[r].program];
    }
    const Instruction* current(std::size_t r, int s) const {
        const auto& list = program(r).streams[static_cast<std::size_t>(s)];
        const std::size_t next = ranks_[r].streams[s].next;
        return next < list.size() ? &list[next] : nullptr;
    }
    SegmentId segment(std::size_t r, const Instruction& i) const {
        return segment_of(i, input_.ranks[r]);
    }
    std::int64_t duration(std::size_t r, const Instruction& i, std::uint32_t operation) const {
        const std::int64_t* p = input_.segments.prefix(segment(r, i), ranks_[r].environment);
        return p[operation + 1] - p[operation];
    }
    std::vector<std::size_t> members(std::size_t r, Group kind) const {
        const auto k = static_cast<std::size_t>(kind);
        std::vector<std::size_t> result;
        for (std::size_t q = 0; q < ranks_.size(); ++q) {
            if (input_.ranks[q].group[k] == input_.ranks[r].group[k]) result.push_back(q);
        }
        return result;
    }

    bool start_what_can() {
        bool changed = false;
        for (std::size_t r = 0; r < ranks_.size(); ++r) {
            for (int s = 0; s < kStreams; ++s) {
                StreamState& stream = ranks_[r].streams[s];
                const Instruction* i = current(r, s);
                if (stream.busy || i == nullptr) continue;
                if (ranks_[r].streams[static_cast<int>(i->wait_stream)].next < i->wait_count) {
                    continue;
                }
                if (i->kind == InstructionKind::receive && !ranks_[r].arrived[i->index]) continue;
                changed = true;
                stream.busy = true;
                stream.moving = false;
                stream.operation = 0;
                if (i->kind == InstructionKind::send) {
                    stream.left = input_.messages[i->index].duration_ps;
                } else if (i->kind != InstructionKind::run &&
                           i->kind != InstructionKind::collective) {
                    finish(r, s);
                }
            }
        }
        for (std::size_t r = 0; r < ranks_.size(); ++r) changed |= move_if_complete(r);
        set_environments();
        for (std::size_t r = 0; r < ranks_.size(); ++r) {
            for (int s = 0; s < kStreams; ++s) {
                StreamState& stream = ranks_[r].streams[s];
                const Instruction* i = current(r, s);
                if (stream.busy && i->kind == InstructionKind::run && stream.operation == 0 &&
                    stream.left == 0) {
                    stream.left = duration_on(r, s, *i, 0);
                }
            }
        }
        return changed;
    }
    // Operators of the communication stream run as if alone.
    std::int64_t duration_on(std::size_t r, int s, const Instruction& i, std::uint32_t op) const {
        if (s == 0) return duration(r, i, op);
        const std::int64_t* p = input_.segments.prefix(segment(r, i), 0);
        return p[op + 1] - p[op];
    }

    bool move_if_complete(std::size_t r) {
        StreamState& stream = ranks_[r].streams[1];
        const Instruction* i = current(r, 1);
        if (!stream.busy || stream.moving || i->kind != InstructionKind::collective) return false;
        const auto all = members(r, input_.collectives[i->index].group);
        for (const std::size_t q : all) {
            const Instruction* j = current(q, 1);
            if (!ranks_[q].streams[1].busy || ranks_[q].streams[1].moving || j == nullptr ||
                j->kind != InstructionKind::collective ||
                input_.collectives[j->index].group != input_.collectives[i->index].group) {
                return false;
            }
        }
        for (const std::size_t q : all) {
            ranks_[q].streams[1].moving = true;
            ranks_[q].streams[1].left = input_.collectives[i->index].duration_ps;
        }
        return true;
    }

    // The share of work left of the operator in flight stays the same.
    void set_environments() {
        for (std::size_t r = 0; r < ranks_.size(); ++r) {
            const StreamState& c = ranks_[r].streams[1];
            const Instruction* i = current(r, 1);
            int environment = 0;
            if (c.busy && i->kind == InstructionKind::collective) {
                const CollectiveSpec& spec = input_.collectives[i->index];
                environment = c.moving ? spec.environment_moving : spec.environment_waiting;
            }
            if (environment == ranks_[r].environment) continue;
            StreamState& compute = ranks_[r].streams[0];
            const Instruction* j = current(r, 0);
            const bool running = compute.busy && j->kind == InstructionKind::run;
            const std::int64_t before = running ? duration(r, *j, compute.operation) : 0;
            ranks_[r].environment = environment;
            if (!running || compute.left == 0) continue;
            const std::int64_t after = duration(r, *j, compute.operation);
            compute.left = (compute.left * after + before - 1) / before;
        }
    }

    std::int64_t time_to_next() const {
        std::int64_t least = kNever;
        for (std::size_t r = 0; r < ranks_.size(); ++r) {
            for (int s = 0; s < kStreams; ++s) {
                const StreamState& stream = ranks_[r].streams[s];
                if (!stream.busy) continue;
                const bool waits =
                    current(r, s)->kind == InstructionKind::collective && !stream.moving;
                if (!waits) least = std::min(least, stream.left);
            }
        }
        return least;
    }

    void advance(std::int64_t step) {
        now_ += step;
        for (std::size_t r = 0; r < ranks_.size(); ++r) {
            for (int s = 0; s < kStreams; ++s) {
                StreamState& stream = ranks_[r].streams[s];
                if (!stream.busy) continue;
                const Instruction& i = *current(r, s);
                if (i.kind == InstructionKind::collective && !stream.moving) continue;
                stream.left -= step;
                if (stream.left > 0) continue;
                if (i.kind == InstructionKind::run &&
                    stream.operation + 1 < input_.segments.operators(segment(r, i))) {
                    ++stream.operation;
                    stream.left = duration_on(r, s, i, stream.operation);
                } else {
                    finish(r, s);
                }
            }
        }
    }
    void finish(std::size_t r, int s) {
        const Instruction& i = *current(r, s);
        if (i.kind == InstructionKind::send) {
            const MessageSpec& m = input_.messages[i.index];
            const std::size_t to = m.to_pipeline_rank * input_.lanes + r % input_.lanes;
            ranks_[to].arrived[m.slot] = true;
        }
        ranks_[r].streams[s].busy = false;
        ranks_[r].streams[s].left = 0;
        ++ranks_[r].streams[s].next;
        const bool works = i.kind == InstructionKind::run || i.kind == InstructionKind::send ||
                           i.kind == InstructionKind::collective;
        if (works) ranks_[r].end = std::max(ranks_[r].end, now_);
    }

    const ReplayInput& input_;
    std::vector<Rank> ranks_;
    std::int64_t now_ = 0;
};

}  // namespace orrery::test
