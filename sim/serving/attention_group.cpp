#include "serving/attention_group.hpp"

#include <algorithm>
#include <stdexcept>

namespace orrery {

AttentionGroup::AttentionGroup(const GroupSpec& spec, SequencePool& pool, GroupReport& report)
    : spec_(&spec), pool_(&pool), report_(&report), cache_(spec.kv, &report.moves) {
    buckets_.fill(Sequence::kNone);
}

bool AttentionGroup::fits(const Sequence& s) const {
    const std::int64_t tokens =
        spec_->decodes ? s.prompt + s.output + spec_->speculation.drafts() : s.prompt + s.emitted;
    return cache_.pages_for(tokens) <= cache_.pages();
}

void AttentionGroup::enqueue(std::uint32_t index, bool again) {
    Sequence& s = (*pool_)[index];
    s.state = SequenceState::waiting;
    waiting_tokens_ += waiting_need(s);
    if (again) {
        waiting_.push_front(index);
        blocked_ = false;
        return;
    }
    int level = 0;
    if (spec_->policy.order == AdmissionOrder::priority) {
        level = std::clamp(s.priority, 0, WaitingQueue::kLevels - 1);
    } else if (spec_->policy.order == AdmissionOrder::slo) {
        level = 1;
    }
    if (!waiting_.empty() && level > waiting_.level()) blocked_ = false;
    waiting_.push(index, level);
}

const Iteration& AttentionGroup::begin(SimTime now) {
    iteration_ = {};
    chunks_.clear();
    preempted_now_ = false;
    if (!joining_.empty()) {
        for (const std::uint32_t index : joining_) join_decode(index);
        joining_.clear();
    }
    if (!loading_.empty()) finish_loading(now);
    if (!growing_.empty()) grow(now);
    pages_clean_ = cache_.clean();
    if (preempted_now_) pages_clean_ = std::max(pages_clean_, swap_written_);
    if (!prefilling_.empty() || !waiting_.empty()) choose_prompts(now);
    if (decoding_ > 0 && (spec_->policy.mix == BatchMix::together || chunks_.empty())) {
        iteration_.decode_sequences = decoding_;
        iteration_.decode_tokens = decoding_ * (1 + spec_->speculation.drafts());
        iteration_.decode_context = context_ >> kPaceBits;
    }
    return iteration_;
}

void AttentionGroup::choose_prompts(SimTime now) {
    const BatchPolicy& policy = spec_->policy;
    std::int64_t budget = policy.token_budget;
    if (policy.first == BatchFirst::decode && decoding_ > 0) {
        if (policy.mix == BatchMix::together) {
            budget -= decoding_ * (1 + spec_->speculation.drafts());
        } else if (policy.prefill_interval == 0 ||
                   step_ - last_admission_step_ < policy.prefill_interval) {
            return;
        }
    }
    for (const std::uint32_t index : prefilling_) {
        if (budget <= 0 || prompts_full()) break;
        start_chunk(index, budget);
    }
    if (budget > 0 && !waiting_.empty() && may_admit()) admit_waiting(now, budget);
    if (!chunks_.empty()) last_admission_step_ = step_;
}

void AttentionGroup::start_chunk(std::uint32_t index, std::int64_t& budget) {
    const Sequence& s = (*pool_)[index];
    std::int64_t tokens = s.target - s.cached;
    if (spec_->policy.chunk_tokens > 0) {
        tokens = std::min({tokens, spec_->policy.chunk_tokens, budget});
    } else if (tokens > budget && !chunks_.empty()) {
        budget = 0;  // whole prompts: this one waits for an iteration to itself
        return;
    }
    chunks_.push_back({index, tokens});
    budget -= tokens;
    iteration_.prefill_tokens += tokens;
    ++iteration_.prefill_sequences;
    iteration_.prefill_pairs += tokens * s.cached + tokens * (tokens + 1) / 2;
    iteration_.prefill_context += s.cached;
}

void AttentionGroup::finish_loading(SimTime now) {
    std::size_t ready = 0;
    for (; ready < loading_.size() && loading_[ready].ready <= now; ++ready) {
        const std::uint32_t index = loading_[ready].sequence;
        Sequence& s = (*pool_)[index];
        if (s.swapped) {
            cache_.end_swap(swap_tokens(s));
            s.swapped = false;
            join_decode(index);
        } else {
            s.state = SequenceState::prefilling;
            prefilling_.push_back(index);
        }
    }
    loading_.erase(loading_.begin(), loading_.begin() + static_cast<std::ptrdiff_t>(ready));
}

std::optional<SimTime> AttentionGroup::next_ready() const {
    if (loading_.empty()) return std::nullopt;
    return loading_.front().ready;
}

// Sequences that have filled their pages take one more before they go on; where there is none, the
// last admitted makes room.
void AttentionGroup::grow(SimTime now) {
    for (std::size_t i = 0; i < growing_.size(); ++i) {
        const std::uint32_t index = growing_[i];
        Sequence& s = (*pool_)[index];
        if (!s.growing) continue;  // made room for another one
        const std::int64_t context =
            s.target + ((steps_done(s) * s.pace) >> kPaceBits) + spec_->speculation.drafts();
        const std::int64_t pages = cache_.pages_for(context) - held_pages(s);
        while (s.growing && pages > 0 && !cache_.take(pages, now)) preempt(victim(), now);
        if (!s.growing) continue;
        s.growing = false;
        s.pages += std::max<std::int64_t>(pages, 0);
        future_pages_ -= std::max<std::int64_t>(pages, 0);
        plan(index);
    }
    growing_.clear();
}

// The lowest priority, and of those the last admitted.
std::uint32_t AttentionGroup::victim() const {
    std::uint32_t chosen = last_;
    if (spec_->policy.order != AdmissionOrder::priority) return chosen;
    for (std::uint32_t i = last_; i != Sequence::kNone; i = (*pool_)[i].before) {
        if ((*pool_)[i].priority < (*pool_)[chosen].priority) chosen = i;
    }
    return chosen;
}

void AttentionGroup::preempt(std::uint32_t index, SimTime now) {
    Sequence& s = (*pool_)[index];
    const bool decoding = s.state == SequenceState::decoding;
    if (decoding) {
        leave_decode(index);
    } else if (s.state == SequenceState::prefilling) {
        prefilling_.erase(std::find(prefilling_.begin(), prefilling_.end(), index));
    } else {
        const auto same = [index](const Loading& l) { return l.sequence == index; };
        loading_.erase(std::find_if(loading_.begin(), loading_.end(), same));
    }
    unlink_running(index);
    if (decoding && spec_->policy.preemption == Preemption::swap && spec_->kv.host.tokens > 0) {
        const auto written = cache_.swap_out(swap_tokens(s), now);
        if (written) swap_written_ = std::max(swap_written_, *written);
        s.swapped = written.has_value();
        ++(s.swapped ? report_->swaps : report_->swaps_refused);
    }
    free_memory(s);
    s.cached = 0;
    ++s.preemptions;
    ++report_->preemptions;
    enqueue(index, true);
    preempted_now_ = true;
    held_back_ = spec_->policy.hold_after_preemption && running_ > 0;
    ratio_step_ = step_;
}

void AttentionGroup::end(SimTime now) {
    if (iteration_.decode_sequences > 0) end_decode(now);
    for (const Chunk& chunk : chunks_) end_chunk(chunk, now);
    chunks_.clear();
    iteration_ = {};
}

void AttentionGroup::end_decode(SimTime now) {
    ++step_;
    context_ += pace_;
    const auto fresh = static_cast<std::int64_t>(newcomers_.size());
    if (decoding_ > fresh) report_->itl.add(now - last_decode_end_, decoding_ - fresh);
    for (const std::uint32_t index : newcomers_) {
        Sequence& s = (*pool_)[index];
        report_->itl.add(now - s.last_token);
        s.newcomer = false;
    }
    newcomers_.clear();
    last_decode_end_ = now;
    std::uint32_t next = buckets_[static_cast<std::size_t>(step_) % kBuckets];
    while (next != Sequence::kNone) {
        const std::uint32_t index = next;
        Sequence& s = (*pool_)[index];
        next = s.bucket_after;
        if (s.event_step != step_) continue;
        unplan(index);
        if (steps_done(s) == s.steps) {
            leave_decode(index);
            finish(index, now);
        } else {
            s.growing = true;
            growing_.push_back(index);
        }
    }
}

void AttentionGroup::end_chunk(const Chunk& chunk, SimTime now) {
    Sequence& s = (*pool_)[chunk.sequence];
    s.cached += chunk.tokens;
    report_->computed_tokens += chunk.tokens;
    if (s.cached < s.target) return;
    prefilling_.erase(std::find(prefilling_.begin(), prefilling_.end(), chunk.sequence));
    const auto blocks = static_cast<std::int64_t>(s.blocks.size());
    if (spec_->policy.prefix_cache && blocks > s.held_blocks) {
        cache_.share(KvCache::Blocks(s.blocks).subspan(static_cast<std::size_t>(s.held_blocks)),
                     now);
        s.pages -= (blocks - s.held_blocks) * cache_.block_pages();
        s.held_blocks = blocks;
        blocked_ = false;
    }
    if (s.emitted == 0) {
        s.first_token = now;
        report_->ttft.add(now - s.arrival);
    } else {
        report_->itl.add(now - s.last_token);
    }
    s.last_token = now;
    ++s.emitted;
    ++s.target;
    if (s.emitted == s.output) {
        finish(chunk.sequence, now);
    } else if (spec_->decodes) {
        join_decode(chunk.sequence);
    } else {
        s.state = SequenceState::handing_over;
        unlink_running(chunk.sequence);
        ++outgoing_;
        report_->prefilled.push_back(chunk.sequence);
    }
}

void AttentionGroup::finish(std::uint32_t index, SimTime now) {
    Sequence& s = (*pool_)[index];
    s.emitted = s.output;
    s.last_token = now;
    unlink_running(index);
    free_memory(s);
    held_back_ = false;
    report_->finished.push_back(index);
}

void AttentionGroup::release_source(std::uint32_t index) {
    --outgoing_;
    free_memory((*pool_)[index]);
}

void AttentionGroup::join(std::uint32_t index) {
    Sequence& s = (*pool_)[index];
    end_reservation(s);
    s.pages = s.next_pages;
    s.final_pages = s.next_final_pages;
    s.held_blocks = 0;
    s.state = SequenceState::joining;
    link_running(index);
    joining_.push_back(index);
}

void AttentionGroup::cancel(std::uint32_t index) {
    Sequence& s = (*pool_)[index];
    end_reservation(s);
    cache_.give(s.next_pages);
    blocked_ = false;
}

void AttentionGroup::end_reservation(const Sequence& s) {
    --incoming_;
    incoming_pages_ -= s.next_final_pages;
    future_pages_ -= s.next_final_pages - s.next_pages;
}

void AttentionGroup::abandon(std::vector<std::uint32_t>& sequences) {
    for (std::uint32_t i = first_; i != Sequence::kNone; i = (*pool_)[i].after) {
        if ((*pool_)[i].state == SequenceState::decoding) leave_decode(i);
        sequences.push_back(i);
    }
    waiting_.for_each([&](std::uint32_t i) { sequences.push_back(i); });
    for (const std::uint32_t i : sequences) {
        Sequence& s = (*pool_)[i];
        s.pages = s.held_blocks = s.cached = 0;
        s.swapped = s.newcomer = s.growing = false;
        s.before = s.after = s.bucket_before = s.bucket_after = Sequence::kNone;
    }
    AttentionGroup empty(*spec_, *pool_, *report_);
    *this = std::move(empty);
}

void AttentionGroup::check() const {
    cache_.check();
    std::int64_t running = 0, decoding = 0, future = 0, context = 0;
    for (std::uint32_t i = first_; i != Sequence::kNone; i = (*pool_)[i].after) {
        const Sequence& s = (*pool_)[i];
        ++running;
        future += s.final_pages - held_pages(s);
        if (s.state != SequenceState::decoding) continue;
        ++decoding;
        context += (s.target << kPaceBits) + steps_done(s) * s.pace;
    }
    if (running != running_ || decoding != decoding_ || context != context_ ||
        (incoming_ == 0 && future != future_pages_)) {
        throw std::logic_error("an attention group's sums do not add up");
    }
}

}  // namespace orrery
