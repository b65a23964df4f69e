#pragma once
// A request under way, and the pool such sequences live in.

#include <cstdint>
#include <memory>
#include <vector>

#include "core/time.hpp"
#include "serving/request.hpp"

namespace orrery {

enum class SequenceState : std::uint8_t {
    unused,
    waiting,     // in a group's queue
    loading,     // admitted; KV comes from a lower tier
    prefilling,  // admitted; part of its prompt may be in the cache
    joining,     // its KV has come from another engine; decodes from the next iteration on
    decoding,
    handing_over  // its KV goes to another engine, or waits for a place there
};

struct Sequence {
    static constexpr std::uint32_t kNone = UINT32_MAX;

    // The request.
    std::int64_t number = 0;  // in order of arrival
    SimTime arrival = {};
    std::int64_t prompt = 0, output = 0;  // tokens
    std::int64_t stored = 0;              // Request::cached_tokens
    std::int32_t priority = 0;
    std::uint32_t user = Request::kNoUser;
    std::vector<std::uint64_t> blocks = {};  // full ones of the prompt

    // Where it is.
    SequenceState state = SequenceState::unused;
    std::uint32_t engine = kNone, group = kNone;

    // How far it is. `target` tokens (prompt, and tokens already given out when it is computed
    // again) have to be in the cache before the next token comes; `cached` of them are.
    std::int64_t emitted = 0;  // tokens given out; while decoding, those before it joined
    std::int64_t target = 0, cached = 0;
    std::int64_t hit = 0;  // of target found in a cache when it was first admitted, -1 before
    SimTime first_token = {}, last_token = {};
    std::int32_t preemptions = 0, retries = 0;
    bool swapped = false;  // its KV is in host memory

    // Memory in its group.
    std::int64_t pages = 0;        // its own
    std::int64_t held_blocks = 0;  // leading blocks it shares
    std::int64_t final_pages = 0;  // own and shared, at its end

    // While decoding: after j steps, emitted + floor(j x pace / 2^20) tokens.
    std::int64_t joined_step = 0;  // the group's step count when it joined
    std::int64_t steps = 0;        // it needs
    std::int64_t pace = 0;         // tokens a step, times 2^20
    std::int64_t event_step = 0;   // step count at which it ends or needs a page
    bool newcomer = false;         // has not done a step
    bool growing = false;          // waits for a page

    // Hand-over to the next engine: memory reserved there, parts of the KV still to come, and the
    // number of this attempt, which tells messages of an earlier one apart.
    std::uint32_t next_engine = kNone, next_group = kNone;
    std::int64_t next_pages = 0, next_final_pages = 0;
    std::int32_t parts_left = 0;
    std::uint32_t attempt = 0;
    std::uint32_t life = 0;  // counts uses of this place in the pool

    // Intrusive lists: running, in order of admission; the calendar's bucket.
    std::uint32_t before = kNone, after = kNone;
    std::uint32_t bucket_before = kNone, bucket_after = kNone;
};

// Places are used again; references stay valid.
class SequencePool {
  public:
    Sequence& operator[](std::uint32_t i) { return chunks_[i >> kBits][i & (kChunk - 1)]; }
    const Sequence& operator[](std::uint32_t i) const {
        return chunks_[i >> kBits][i & (kChunk - 1)];
    }
    std::uint32_t add() {
        if (unused_.empty()) grow();
        const std::uint32_t index = unused_.back();
        unused_.pop_back();
        ++in_use_;
        Sequence& sequence = (*this)[index];
        std::vector<std::uint64_t> blocks = std::move(sequence.blocks);  // keeps its capacity
        blocks.clear();
        const std::uint32_t life = sequence.life + 1;
        sequence = Sequence{};
        sequence.blocks = std::move(blocks);
        sequence.life = life;
        return index;
    }
    void remove(std::uint32_t index) {
        (*this)[index].state = SequenceState::unused;
        unused_.push_back(index);
        --in_use_;
    }
    std::int64_t in_use() const { return in_use_; }
    std::uint32_t places() const { return static_cast<std::uint32_t>(chunks_.size()) << kBits; }

  private:
    static constexpr std::uint32_t kBits = 8, kChunk = 1U << kBits;
    void grow() {
        const auto first = static_cast<std::uint32_t>(chunks_.size()) << kBits;
        chunks_.push_back(std::make_unique<Sequence[]>(kChunk));
        for (std::uint32_t i = kChunk; i-- > 0;) unused_.push_back(first + i);
    }
    std::vector<std::unique_ptr<Sequence[]>> chunks_;
    std::vector<std::uint32_t> unused_;
    std::int64_t in_use_ = 0;
};

}  // namespace orrery
