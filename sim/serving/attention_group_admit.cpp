// Admission to an attention group, and the lists its sequences stand in.
#include <algorithm>
#include <cmath>

#include "serving/attention_group.hpp"

namespace orrery {

bool AttentionGroup::may_admit() const {
    const BatchPolicy& policy = spec_->policy;
    if (blocked_ || held_back_ || preempted_now_) return false;
    if (policy.static_batch && (decoding_ > 0 || !prefilling_.empty())) return false;
    return running_ < policy.max_sequences;
}

// The first in line; under AdmissionOrder::slo those whose first token is late step back.
std::uint32_t AttentionGroup::next_waiting(SimTime now) {
    while (spec_->policy.order == AdmissionOrder::slo && waiting_.level() == 1) {
        const std::uint32_t index = waiting_.top();
        if (now - (*pool_)[index].arrival <= spec_->ttft_objective) return index;
        waiting_.pop();
        waiting_.push(index, 0);
    }
    return waiting_.top();
}

void AttentionGroup::admit_waiting(SimTime now, std::int64_t& budget) {
    while (budget > 0 && !prompts_full() && !waiting_.empty() &&
           running_ < spec_->policy.max_sequences) {
        const std::uint32_t index = next_waiting(now);
        if (!admit(index, now, budget)) return;
        if ((*pool_)[index].state == SequenceState::prefilling) start_chunk(index, budget);
    }
}

double AttentionGroup::reserve_ratio() const {
    const BatchPolicy& policy = spec_->policy;
    const double passed =
        std::min(1.0, static_cast<double>(step_ - ratio_step_) / policy.reserve_steps);
    return policy.reserve_ratio + (policy.reserve_floor - policy.reserve_ratio) * passed;
}

// The greatest number of tokens in the cache at any later moment: sequences sorted by how much they
// still have to come, the longest first; when the i-th ends, it and those before it are there.
std::int64_t AttentionGroup::peak_tokens(const Sequence& joining) const {
    peak_.clear();
    const auto add = [this](std::int64_t left, std::int64_t now) { peak_.emplace_back(left, now); };
    for (std::uint32_t i = first_; i != Sequence::kNone; i = (*pool_)[i].after) {
        const Sequence& s = (*pool_)[i];
        const std::int64_t done =
            s.state == SequenceState::decoding ? (steps_done(s) * s.pace) >> kPaceBits : 0;
        add(s.output - s.emitted - done, s.target + done);
    }
    add(joining.output - joining.emitted, joining.prompt + joining.emitted);
    std::sort(peak_.begin(), peak_.end(), std::greater<>());
    std::int64_t sum = 0, peak = 0, count = 0;
    for (const auto& [left, now] : peak_) {
        sum += now;
        peak = std::max(peak, sum + ++count * left);
    }
    return peak;
}

bool AttentionGroup::memory_allows(const Sequence& s, std::int64_t pages,
                                   std::int64_t final_pages) const {
    const std::int64_t available = cache_.available();
    if (pages > available) return false;
    if (running_ + incoming_ + outgoing_ == 0) return true;
    const BatchPolicy& policy = spec_->policy;
    switch (policy.memory) {
        case MemoryRule::on_demand:
            return pages + static_cast<std::int64_t>(policy.watermark *
                                                     static_cast<double>(cache_.pages())) <=
                   available;
        case MemoryRule::reserve: {
            const std::int64_t own = final_pages - cache_.pages_for(s.prompt + s.emitted);
            const double kept = reserve_ratio() * static_cast<double>(future_pages_ + own);
            return static_cast<double>(pages) + std::ceil(kept) <= static_cast<double>(available);
        }
        case MemoryRule::predicted_peak:
            // A page of each sequence is partly empty.
            return cache_.pages_for(peak_tokens(s)) + running_ + 1 + incoming_pages_ <=
                   cache_.pages();
    }
    return false;
}

std::int64_t AttentionGroup::hit_tokens(const Sequence& s) const {
    if (!spec_->policy.prefix_cache) return 0;
    return cache_.find(s.blocks).blocks * spec_->kv.block_tokens;
}

// Takes the first in line in, where tokens and memory allow it.
bool AttentionGroup::admit(std::uint32_t index, SimTime now, std::int64_t budget) {
    Sequence& s = (*pool_)[index];
    const std::int64_t target = s.prompt + s.emitted;
    KvCache::Blocks blocks;
    KvCache::Hit hit;
    if (spec_->policy.prefix_cache && !s.blocks.empty() && !s.swapped) {
        // The last token is computed in any case.
        const std::int64_t most = (target - 1) / spec_->kv.block_tokens;
        blocks = KvCache::Blocks(s.blocks).first(
            std::min(s.blocks.size(), static_cast<std::size_t>(most)));
        hit = cache_.find(blocks);
        blocks = blocks.first(static_cast<std::size_t>(hit.blocks));
    }
    const std::int64_t shared = hit.blocks * spec_->kv.block_tokens;
    const std::int64_t stored =
        s.swapped ? target - 1 : std::max(shared, std::min(s.stored, target - 1));
    if (spec_->policy.chunk_tokens == 0 && target - stored > budget && !chunks_.empty()) {
        return false;
    }
    s.final_pages = cache_.pages_for(
        spec_->decodes ? s.prompt + s.output + spec_->speculation.drafts() : target);
    const std::int64_t own = cache_.pages_for(target) - hit.blocks * cache_.block_pages();
    const std::int64_t fetched = (hit.host + hit.ssd) * cache_.block_pages();
    if (!memory_allows(s, own + fetched + hit.idle * cache_.block_pages(), s.final_pages)) {
        blocked_ = spec_->policy.memory != MemoryRule::reserve;
        return false;
    }
    waiting_.pop();
    waiting_tokens_ -= waiting_need(s);
    SimTime ready = cache_.hold(blocks, now);
    cache_.take(own, now);
    s.pages = own;
    s.held_blocks = hit.blocks;
    s.target = target;
    s.cached = stored;
    if (s.hit < 0) {
        s.hit = stored;
        report_->prompt_tokens += s.prompt;
        report_->hit_tokens += stored;
    }
    link_running(index);
    if (s.swapped) ready = cache_.swap_in(stored, now);
    const SimTime clean = std::max(cache_.clean(), swap_written_);
    ready = std::max(ready, clean);
    if (const std::int64_t outside = (stored - shared) * spec_->store_per_token.ps;
        !s.swapped && outside > 0) {
        store_free_ = SimTime{std::max({store_free_.ps, now.ps, clean.ps}) + outside};
        ready = std::max(ready, store_free_);
    }
    if (ready > now || s.swapped) {
        start_loading(index, ready);
    } else {
        s.state = SequenceState::prefilling;
        prefilling_.push_back(index);
    }
    return true;
}

// Several links: the order of readiness need not be that of admission.
void AttentionGroup::start_loading(std::uint32_t index, SimTime ready) {
    (*pool_)[index].state = SequenceState::loading;
    const auto later = [](SimTime at, const Loading& l) { return at < l.ready; };
    loading_.insert(std::upper_bound(loading_.begin(), loading_.end(), ready, later),
                    {index, ready});
}

bool AttentionGroup::reserve(std::uint32_t index, SimTime now) {
    Sequence& s = (*pool_)[index];
    if (running_ + incoming_ >= spec_->policy.max_sequences) return false;
    const std::int64_t pages = cache_.pages_for(s.prompt + s.emitted);
    const std::int64_t final_pages =
        cache_.pages_for(s.prompt + s.output + spec_->speculation.drafts());
    if (!memory_allows(s, pages, final_pages) || !cache_.take(pages, now)) return false;
    s.next_pages = pages;
    s.next_final_pages = final_pages;
    ++incoming_;
    incoming_pages_ += final_pages;
    future_pages_ += final_pages - pages;
    return true;
}

void AttentionGroup::link_running(std::uint32_t index) {
    Sequence& s = (*pool_)[index];
    s.before = last_;
    s.after = Sequence::kNone;
    (last_ == Sequence::kNone ? first_ : (*pool_)[last_].after) = index;
    last_ = index;
    ++running_;
    future_pages_ += s.final_pages - held_pages(s);
}

void AttentionGroup::unlink_running(std::uint32_t index) {
    Sequence& s = (*pool_)[index];
    (s.before == Sequence::kNone ? first_ : (*pool_)[s.before].after) = s.after;
    (s.after == Sequence::kNone ? last_ : (*pool_)[s.after].before) = s.before;
    --running_;
    future_pages_ -= s.final_pages - held_pages(s);
    if (running_ == 0) held_back_ = false;
}

void AttentionGroup::free_memory(Sequence& s) {
    cache_.release(KvCache::Blocks(s.blocks).first(static_cast<std::size_t>(s.held_blocks)));
    cache_.give(s.pages);
    s.pages = s.held_blocks = 0;
    blocked_ = false;
}

void AttentionGroup::join_decode(std::uint32_t index) {
    Sequence& s = (*pool_)[index];
    s.state = SequenceState::decoding;
    s.target = s.prompt + s.emitted;
    s.joined_step = step_;
    const std::int64_t tokens = s.output - s.emitted;
    s.steps = draw_steps(spec_->speculation, s.number, s.emitted, tokens);
    s.pace = (tokens << kPaceBits) / s.steps;
    s.newcomer = true;
    newcomers_.push_back(index);
    ++decoding_;
    context_ += s.target << kPaceBits;
    pace_ += s.pace;
    plan(index);
}

void AttentionGroup::leave_decode(std::uint32_t index) {
    Sequence& s = (*pool_)[index];
    const std::int64_t done = steps_done(s);
    --decoding_;
    context_ -= (s.target << kPaceBits) + done * s.pace;
    pace_ -= s.pace;
    s.emitted += (done * s.pace) >> kPaceBits;
    if (s.newcomer) {
        newcomers_.erase(std::find(newcomers_.begin(), newcomers_.end(), index));
        s.newcomer = false;
    } else {
        s.last_token = last_decode_end_;
    }
    if (s.event_step > step_) unplan(index);
    s.growing = false;
}

// Enters the step count at which the sequence ends or has filled its pages: the least j with
// target + floor(j pace / 2^20) + drafts > pages x page_tokens.
void AttentionGroup::plan(std::uint32_t index) {
    Sequence& s = (*pool_)[index];
    const std::int64_t room =
        held_pages(s) * cache_.page_tokens() - s.target - spec_->speculation.drafts();
    const std::int64_t done = steps_done(s);
    std::int64_t due = s.steps;
    if (s.pace == std::int64_t{1} << kPaceBits) {
        due = std::max(done, std::min(room + 1, s.steps));
    } else if (((room + 1) << kPaceBits) <= s.pace * s.steps) {
        due = std::max<std::int64_t>(done, (((room + 1) << kPaceBits) + s.pace - 1) / s.pace);
    }
    if (due <= done && due < s.steps) {
        s.event_step = step_;
        s.growing = true;
        growing_.push_back(index);
        return;
    }
    s.event_step = s.joined_step + std::min(due, s.steps);
    std::uint32_t& bucket = buckets_[static_cast<std::size_t>(s.event_step) % kBuckets];
    s.bucket_before = Sequence::kNone;
    s.bucket_after = bucket;
    if (bucket != Sequence::kNone) (*pool_)[bucket].bucket_before = index;
    bucket = index;
}

void AttentionGroup::unplan(std::uint32_t index) {
    const Sequence& s = (*pool_)[index];
    std::uint32_t& bucket = buckets_[static_cast<std::size_t>(s.event_step) % kBuckets];
    (s.bucket_before == Sequence::kNone ? bucket : (*pool_)[s.bucket_before].bucket_after) =
        s.bucket_after;
    if (s.bucket_after != Sequence::kNone) {
        (*pool_)[s.bucket_after].bucket_before = s.bucket_before;
    }
}

}  // namespace orrery
