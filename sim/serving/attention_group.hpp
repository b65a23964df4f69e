#pragma once
// One data-parallel attention group of an engine: its KV cache, who waits, who runs, and what the
// next iteration computes. begin() forms a batch by the policy, end() books what it brought.
//
//   context of a decoding sequence after j steps   c_j = c_0 + floor(j x pace / 2^20)
//   decode_context of an iteration                 floor(sum of (c_0 2^20 + j pace) / 2^20)
//
// The sum grows by the sum of paces each step, so a step costs nothing per sequence: a sequence is
// looked at when it joins, when it needs a page and when it ends, and a calendar over step counts
// says when that is. Whole numbers throughout: leaving takes out exactly what was put in.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "serving/acceptance.hpp"
#include "serving/iteration.hpp"
#include "serving/kv_cache.hpp"
#include "serving/policy.hpp"
#include "serving/sequence.hpp"
#include "serving/sketch.hpp"
#include "serving/waiting_queue.hpp"

namespace orrery {

struct GroupSpec {
    BatchPolicy policy;
    KvSpec kv;
    Speculation speculation = {};
    bool decodes = true;               // false: a sequence leaves when its prompt is done
    SimDuration store_per_token = {};  // loading of Request::cached_tokens
    SimDuration ttft_objective = {};   // AdmissionOrder::slo
};

// What groups report, read and emptied by the cluster after each event.
struct GroupReport {
    std::vector<std::uint32_t> finished;   // gave out their last token; memory is free again
    std::vector<std::uint32_t> prefilled;  // of groups that do not decode; memory still taken
    DurationSketch ttft, itl;
    std::int64_t preemptions = 0;
    std::int64_t swaps = 0;            // of them to host memory
    std::int64_t swaps_refused = 0;    // would have been, but it was full
    std::int64_t prompt_tokens = 0;    // of requests when first admitted
    std::int64_t hit_tokens = 0;       // of them found in HBM or a lower tier
    std::int64_t computed_tokens = 0;  // of prompts, recomputed ones included
    KvMoves moves;
};

class AttentionGroup {
  public:
    // `spec` and `pool` outlive the group.
    AttentionGroup(const GroupSpec& spec, SequencePool& pool, GroupReport& report);

    // Whether the sequence could run here if it were alone; otherwise it must not be enqueued.
    bool fits(const Sequence& sequence) const;
    // The sequence waits for admission; `again`: before all others, because it has run already.
    void enqueue(std::uint32_t sequence, bool again = false);

    // What the next iteration computes; nothing where all counts are 0. Every begin() that gives
    // something is followed by its end().
    const Iteration& begin(SimTime now);
    void end(SimTime now);
    // The iteration that begin() gave cannot start before: pages that its sequences have taken are
    // being written to a lower tier. Time 0 where none are.
    SimTime pages_clean() const { return pages_clean_; }
    const Iteration& iteration() const { return iteration_; }
    // Sequences whose prompts end with the iteration under way.
    template <class Visit>
    void for_each_last_chunk(const Visit& visit) const {
        for (const Chunk& chunk : chunks_) {
            const Sequence& s = (*pool_)[chunk.sequence];
            if (s.cached + chunk.tokens == s.target) visit(chunk.sequence);
        }
    }
    // When an admitted sequence's KV will have come from a lower tier, where nothing else runs.
    std::optional<SimTime> next_ready() const;

    // Hand-over. A sequence that this group has reported as prefilled keeps its memory here until
    // release_source(), which comes before join() elsewhere. reserve() takes memory for one that
    // comes from elsewhere: false where the policy would not admit it now; then join() once its KV
    // is here, or cancel().
    void release_source(std::uint32_t sequence);
    bool reserve(std::uint32_t sequence, SimTime now);
    void join(std::uint32_t sequence);
    void cancel(std::uint32_t sequence);

    // Tokens of requests that wait or run, as the routers see load.
    std::int64_t load_tokens() const {
        return waiting_tokens_ + cache_.used_pages() * spec_->kv.page_tokens;
    }
    std::int64_t waiting() const { return waiting_.size(); }
    std::int64_t running() const { return running_; }  // admitted
    bool idle() const {
        return waiting_.empty() && running_ == 0 && incoming_ == 0 && outgoing_ == 0;
    }
    KvCache& cache() { return cache_; }
    const KvCache& cache() const { return cache_; }
    // Leading tokens of the prompt that are in a tier here.
    std::int64_t hit_tokens(const Sequence& sequence) const;

    // The engine has failed: hands out every sequence it had, in order, and forgets everything.
    void abandon(std::vector<std::uint32_t>& sequences);
    // Throws std::logic_error where what it keeps does not add up.
    void check() const;

  private:
    static constexpr int kPaceBits = 20;
    static constexpr std::size_t kBuckets = 256;
    struct Chunk {
        std::uint32_t sequence;
        std::int64_t tokens;
    };
    struct Loading {
        std::uint32_t sequence;
        SimTime ready;
    };

    // attention_group_admit.cpp
    bool may_admit() const;
    std::uint32_t next_waiting(SimTime now);
    bool admit(std::uint32_t index, SimTime now, std::int64_t budget);
    bool memory_allows(const Sequence& sequence, std::int64_t pages,
                       std::int64_t final_pages) const;
    std::int64_t peak_tokens(const Sequence& joining) const;
    void admit_waiting(SimTime now, std::int64_t& budget);
    void start_chunk(std::uint32_t index, std::int64_t& budget);
    double reserve_ratio() const;
    bool prompts_full() const {
        const auto most = static_cast<std::size_t>(spec_->policy.max_prompts);
        return most > 0 && chunks_.size() >= most;
    }

    void choose_prompts(SimTime now);
    void start_loading(std::uint32_t index, SimTime ready);
    void finish_loading(SimTime now);
    void grow(SimTime now);
    void preempt(std::uint32_t index, SimTime now);
    std::uint32_t victim() const;
    void end_decode(SimTime now);
    void end_chunk(const Chunk& chunk, SimTime now);
    void finish(std::uint32_t index, SimTime now);

    void link_running(std::uint32_t index);
    void unlink_running(std::uint32_t index);
    void join_decode(std::uint32_t index);
    void leave_decode(std::uint32_t index);
    void plan(std::uint32_t index);
    void unplan(std::uint32_t index);
    void free_memory(Sequence& sequence);
    void end_reservation(const Sequence& sequence);
    std::int64_t steps_done(const Sequence& s) const { return step_ - s.joined_step; }
    std::int64_t held_pages(const Sequence& s) const {
        return s.pages + s.held_blocks * cache_.block_pages();
    }
    std::int64_t waiting_need(const Sequence& s) const { return s.prompt + s.emitted; }
    // What goes to host memory: the last token's KV comes with the next step.
    static std::int64_t swap_tokens(const Sequence& s) { return s.prompt + s.emitted - 1; }

    const GroupSpec* spec_;
    SequencePool* pool_;
    GroupReport* report_;
    KvCache cache_;
    WaitingQueue waiting_;
    std::int64_t waiting_tokens_ = 0;

    std::uint32_t first_ = Sequence::kNone, last_ = Sequence::kNone;  // running
    std::int64_t running_ = 0;
    std::int64_t incoming_ = 0, outgoing_ = 0;  // hold memory while their KV is on its way
    std::int64_t incoming_pages_ = 0;           // final ones, of those that come
    std::int64_t future_pages_ = 0;             // that running and coming sequences may still need
    std::vector<std::uint32_t> prefilling_;     // in order of admission
    std::vector<Loading> loading_;              // in order of readiness
    SimTime store_free_ = {};                   // the outside store's link is busy until then
    SimTime pages_clean_ = {}, swap_written_ = {};

    // Decode.
    std::int64_t decoding_ = 0;
    std::int64_t context_ = 0, pace_ = 0;  // sums over decoding sequences, times 2^20
    std::int64_t step_ = 0;                // decode steps done
    std::int64_t last_admission_step_ = 0;
    std::int64_t ratio_step_ = 0;  // step at which the reserve ratio was reset
    SimTime last_decode_end_ = {};
    std::array<std::uint32_t, kBuckets> buckets_;
    std::vector<std::uint32_t> newcomers_, growing_, joining_;

    Iteration iteration_ = {};
    std::vector<Chunk> chunks_;
    bool held_back_ = false;      // by the rule against thrashing
    bool preempted_now_ = false;  // in this begin()
    bool blocked_ = false;        // the first in line was refused and nothing has changed since
    mutable std::vector<std::pair<std::int64_t, std::int64_t>> peak_;  // scratch
};

}  // namespace orrery
