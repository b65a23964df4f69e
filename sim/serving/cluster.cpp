#include "serving/cluster.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {
namespace {

bool later_first(SimTime a, std::int64_t a_order, SimTime b, std::int64_t b_order) {
    return a != b ? b < a : b_order < a_order;
}

}  // namespace

Cluster::Cluster(const ClusterSpec& spec, const RequestStream& requests)
    : spec_(spec),
      requests_(requests),
      simulator_(SimulatorOptions{
          .reverse_ties = spec.reverse_ties,
          .poll = spec.poll ? std::function<bool(SimTime, std::int64_t)>(
                                  [&spec](SimTime at, std::int64_t) { return spec.poll(at); })
                            : nullptr}) {
    bool has_prefill = false, has_mixed = false;
    for (const PoolSpec& pool : spec.pools) {
        has_prefill = has_prefill || pool.role == EngineRole::prefill;
        has_mixed = has_mixed || pool.role == EngineRole::mixed;
        has_decode_ = has_decode_ || pool.role == EngineRole::decode;
        const std::int64_t most = pool.autoscale.on ? pool.autoscale.most : pool.engines;
        Pool state{.spec = &pool, .first = static_cast<std::uint32_t>(engines_.size())};
        for (std::int64_t i = 0; i < most * pool.lanes; ++i) {
            Engine engine{.pool = static_cast<std::uint32_t>(pools_.size())};
            engine.state = i < pool.engines * pool.lanes ? State::up : State::off;
            for (std::int64_t g = 0; g < pool.groups; ++g) {
                engine.groups.emplace_back(pool.group, sequences_, report_);
            }
            engine.sending_until.resize(static_cast<std::size_t>(pool.groups));
            engines_.push_back(std::move(engine));
        }
        state.engines = static_cast<std::uint32_t>(engines_.size()) - state.first;
        state.pages_at_start = pool.engines * pool.lanes * pool.groups * pool.group.kv.pages;
        state.held.set(SimTime{}, pool.engines * pool.lanes);
        pools_.push_back(std::move(state));
    }
    if (has_prefill != has_decode_) {
        throw InputError("deployment: a prefill pool needs a decode pool, and the other way round");
    }
    if (!has_prefill && !has_mixed) throw InputError("deployment: must have a pool of engines");
}

void Cluster::touch(std::uint32_t engine) {
    if (engines_[engine].touched) return;
    engines_[engine].touched = true;
    touched_.push_back(engine);
}

void Cluster::handle(const Event& event) {
    const auto current = [&](std::uint32_t engine) {
        return Event::make(0, 0, 0, engines_[engine].generation).generation() == event.generation();
    };
    switch (static_cast<Kind>(event.kind())) {
        case Kind::arrival:
            arrivals_due_ = true;
            break;
        case Kind::iteration:
            if (current(event.target)) ended_.push_back(event.target);
            break;
        case Kind::wake:
            if (current(event.target)) touch(event.target);
            break;
        case Kind::network:
            network_due_ = true;
            break;
        case Kind::handoff:
            handed_.emplace_back(event.target, event.generation());
            break;
        case Kind::layers:
            layers_due_.emplace_back(event.target, event.generation());
            break;
        case Kind::retry:
            retrying_.emplace_back(event.target, event.generation());
            break;
        case Kind::failure:
            if (current(event.target)) failing_.push_back(event.target);
            break;
        case Kind::given_failure:
            failing_.push_back(event.target);
            break;
        case Kind::recovery:
            if (current(event.target)) recovering_.push_back(event.target);
            break;
        case Kind::scale:
            scaling_.push_back(event.target);
            break;
        case Kind::started:
            if (current(event.target)) starting_.push_back(event.target);
            break;
    }
}

bool Cluster::end_of_timestamp() {
    if (network_due_ || !handed_.empty() || !layers_due_.empty()) advance_network();
    if (!ended_.empty()) end_iterations();
    if (!failing_.empty() || !recovering_.empty() || !starting_.empty() || !scaling_.empty() ||
        !retrying_.empty()) {
        change_engines();
    }
    if (arrivals_due_) take_arrivals();
    if (placeless_head_ < placeless_.size() && !place_blocked_) place_waiting();
    if (!touched_.empty()) begin_iterations();
    if (spec_.handoff.network != nullptr) schedule_network();
    if (spec_.check) check();
    return more_to_come() && now() < spec_.time_limit;
}

// The stream's next request waits in next_request_; those of a closed loop in a heap.
void Cluster::take_arrivals() {
    arrivals_due_ = false;
    while (true) {
        const auto order = [](const Later& a, const Later& b) {
            return later_first(a.at, a.order, b.at, b.order);
        };
        if (!later_.empty() && later_.front().at <= now()) {
            std::pop_heap(later_.begin(), later_.end(), order);
            const Request request = later_.back().request;
            later_.pop_back();
            accept(request);
        } else if (next_request_ && next_request_->arrival <= now()) {
            accept(*next_request_);
            next_request_ = requests_.next();
            if (next_request_ && next_request_->arrival > now()) {
                simulator_.schedule(next_request_->arrival, Kind::arrival, 0);
            }
        } else {
            return;
        }
    }
}

void Cluster::accept(const Request& request) {
    result_.last_arrival = now();
    const std::uint32_t index = sequences_.add();
    Sequence& s = sequences_[index];
    s.number = result_.arrived++;
    s.arrival = now();
    s.prompt = request.prompt_tokens;
    s.output = request.output_tokens;
    s.stored = request.cached_tokens;
    s.priority = request.priority;
    s.user = request.user;
    s.hit = -1;
    const std::int64_t block_tokens = requests_.block_tokens;
    if (block_tokens > 0) {
        const auto full = static_cast<std::size_t>(request.prompt_tokens / block_tokens);
        const auto blocks = request.blocks.first(std::min(full, request.blocks.size()));
        s.blocks.assign(blocks.begin(), blocks.end());
    }
    bool fits_start = false, fits_decode = !has_decode_;
    for (const Pool& pool : pools_) {
        const bool fits = engines_[pool.first].groups.front().fits(s);
        (pool.spec->role == EngineRole::decode ? fits_decode : fits_start) |= fits;
    }
    if (!fits_start || !fits_decode || waiting_ >= spec_.most_waiting) {
        ++(fits_start && fits_decode ? result_.rejected_queue_full : result_.rejected_too_long);
        sequences_.remove(index);
        return;
    }
    system_series_.set(now(), ++in_system_);
    route(index, false);
}

void Cluster::end_iterations() {
    if (ended_.size() > 1) std::sort(ended_.begin(), ended_.end());
    for (const std::uint32_t index : ended_) {
        Engine& engine = engines_[index];
        Pool& pool = pools_[engine.pool];
        engine.in_flight = false;
        const std::int64_t busy = (now() - engine.begun).ps;
        pool.busy_ps += busy;
        pool.prompt_ps += engine.prompt_share * static_cast<double>(busy);
        for (AttentionGroup& group : engine.groups) group.end(now());
        touch(index);
    }
    ended_.clear();
    read_report();
}

void Cluster::read_report() {
    for (const std::uint32_t index : report_.finished) finish(index);
    report_.finished.clear();
    for (const std::uint32_t index : report_.prefilled) {
        Sequence& s = sequences_[index];
        if (s.next_engine != Sequence::kNone) {
            send(index, 1.0 / static_cast<double>(spec_.handoff.layers));
            --s.parts_left;  // stood for this one
        } else {
            placeless_.push_back(index);
        }
    }
    report_.prefilled.clear();
}

void Cluster::finish(std::uint32_t index) {
    const Sequence& s = sequences_[index];
    ++result_.finished;
    result_.prompt_tokens += s.prompt;
    result_.output_tokens += s.output;
    const SimDuration e2e = now() - s.arrival, ttft = s.first_token - s.arrival;
    SimDuration tpot{};
    result_.e2e.add(e2e);
    if (s.output > 1) {
        tpot = SimDuration{(now() - s.first_token).ps / (s.output - 1)};
        result_.tpot.add(tpot);
    }
    const auto within = [](SimDuration value, SimDuration most) {
        return most.ps == 0 || value <= most;
    };
    const ServiceLevel& slo = spec_.slo;
    if (within(ttft, slo.ttft) && within(tpot, slo.tpot) && within(e2e, slo.e2e)) ++result_.good;
    system_series_.set(now(), --in_system_);
    place_blocked_ = false;
    const std::uint32_t user = s.user;
    sequences_.remove(index);
    if (user == Request::kNoUser || !requests_.after) return;
    if (const auto request = requests_.after(user, now())) {
        later_.push_back({request->arrival, later_count_++, *request});
        std::push_heap(later_.begin(), later_.end(), [](const Later& a, const Later& b) {
            return later_first(a.at, a.order, b.at, b.order);
        });
        simulator_.schedule(request->arrival, Kind::arrival, 0);
    }
}

void Cluster::begin_iterations() {
    if (touched_.size() > 1) std::sort(touched_.begin(), touched_.end());
    for (std::size_t i = 0; i < touched_.size(); ++i) {
        Engine& engine = engines_[touched_[i]];
        engine.touched = false;
        if (!engine.in_flight && (engine.state == State::up || engine.state == State::draining)) {
            begin(touched_[i]);
        }
        count(engine);
    }
    touched_.clear();
}

void Cluster::begin(std::uint32_t index) {
    Engine& engine = engines_[index];
    Pool& pool = pools_[engine.pool];
    std::int64_t prompts = 0, decode = 0;
    SimTime start = now();
    for (AttentionGroup& group : engine.groups) {
        const Iteration& iteration = group.begin(now());
        prompts += iteration.prefill_tokens;
        decode += iteration.decode_tokens;
        if (iteration.prefill_tokens + iteration.decode_sequences > 0) {
            start = std::max(start, group.pages_clean());
        }
    }
    if (prompts + decode == 0) {
        std::optional<SimTime> ready;
        for (const AttentionGroup& group : engine.groups) {
            const auto at = group.next_ready();
            if (at && (!ready || *at < *ready)) ready = at;
        }
        if (ready) {
            simulator_.schedule(std::max(*ready, now()), Kind::wake, index, engine.generation);
        } else if (engine.state == State::draining) {
            retire_if_idle(index);
        }
        return;
    }
    const BatchPolicy& policy = pool.spec->group.policy;
    const SimDuration gpu = (start - now()) + pool.spec->timer.time(together(engine));
    const SimDuration cpu = cpu_times_[engine.pool];
    const SimDuration period =
        policy.cpu_overlapped ? std::max(gpu, cpu) : SimDuration{gpu.ps + cpu.ps};
    const SimTime end = now() + std::max(period, SimDuration{1});
    engine.in_flight = true;
    engine.begun = now();
    engine.prompt_share = static_cast<double>(prompts) / static_cast<double>(prompts + decode);
    ++pool.iterations;
    fingerprint_.add(index, 0, static_cast<std::uint32_t>(engine.iterations++), now().ps, end.ps);
    simulator_.schedule(end, Kind::iteration, index, engine.generation);
    if (spec_.handoff.layer_wise && pool.spec->role == EngineRole::prefill) {
        start_layer_wise(engine, end);
    }
}

// What the groups compute together in the iteration they have begun.
EngineIteration Cluster::together(const Engine& engine) const {
    EngineIteration result;
    std::int64_t sum = 0, busy = 0;
    for (const AttentionGroup& group : engine.groups) {
        const std::int64_t tokens = group.iteration().tokens();
        if (tokens == 0) continue;
        if (++busy == 1) result.slowest = group.iteration();
        sum += tokens;
        result.fullest_tokens = std::max(result.fullest_tokens, tokens);
        result.prompts = result.prompts || group.iteration().prefill_tokens > 0;
    }
    const auto groups = static_cast<std::int64_t>(engine.groups.size());
    result.mean_tokens = (sum + groups - 1) / groups;
    if (busy < 2) return result;
    SimDuration longest{-1};
    for (const AttentionGroup& group : engine.groups) {
        const Iteration& iteration = group.iteration();
        if (iteration.tokens() == 0) continue;
        const SimDuration own = pools_[engine.pool].spec->timer.own_time(iteration, result.prompts);
        if (own <= longest) continue;
        longest = own;
        result.slowest = iteration;
    }
    return result;
}

// Brings the engine's share of its pool's sums up to date.
void Cluster::count(Engine& engine) {
    std::int64_t used = 0, waiting = 0;
    for (const AttentionGroup& group : engine.groups) {
        used += group.cache().used_pages();
        waiting += group.waiting();
    }
    Pool& pool = pools_[engine.pool];
    if (used != engine.used_pages) {
        if (used < engine.used_pages) place_blocked_ = false;
        pool.used_pages.add(now(), used - engine.used_pages);
        engine.used_pages = used;
    }
    if (waiting != engine.waiting) {
        pool.waiting.add(now(), waiting - engine.waiting);
        waiting_ += waiting - engine.waiting;
        waiting_series_.set(now(), waiting_);
        engine.waiting = waiting;
    }
}

void Cluster::check() const {
    std::int64_t sequences = 0;
    for (const Engine& engine : engines_) {
        for (const AttentionGroup& group : engine.groups) {
            group.check();
            if (in_system_ == 0 && (group.cache().used_pages() != 0 || !group.idle())) {
                throw std::logic_error("KV pages are held for requests that have ended");
            }
            sequences += group.waiting() + group.running();
        }
    }
    if (sequences > sequences_.in_use() || sequences_.in_use() != in_system_) {
        throw std::logic_error("requests were lost or doubled");
    }
}

ServingResult Cluster::run() {
    for (const Pool& pool : pools_) {
        cpu_times_.push_back(to_sim_duration(pool.spec->group.policy.cpu_time.value));
    }
    next_request_ = requests_.next();
    if (next_request_) simulator_.schedule(next_request_->arrival, Kind::arrival, 0);
    plan_failures();
    for (std::uint32_t p = 0; p < pools_.size(); ++p) {
        if (pools_[p].spec->autoscale.on) {
            simulator_.schedule(now() + pools_[p].spec->autoscale.interval, Kind::scale, p);
        }
    }
    const RunCounts counts = simulator_.run(*this, spec_.time_limit);
    result_.events = counts.events;
    if (counts.stopped == StopReason::drained && in_system_ > 0) {
        // Only requests for which no engine is up, nor will be, may be left.
        if (in_system_ != static_cast<std::int64_t>(homeless_.size())) {
            throw SimulationError(
                fmt::format("serving: {} requests are under way and nothing is due", in_system_));
        }
        result_.lost += in_system_;
        system_series_.set(now(), in_system_ = 0);
    }
    result_.cut = more_to_come();
    return result();
}

ServingResult Cluster::result() {
    const SimTime end = now();
    if (in_system_ == 0) check();
    ServingResult& r = result_;
    r.end = end;
    r.unfinished = in_system_;
    r.ttft = report_.ttft;
    r.itl = report_.itl;
    r.preemptions = report_.preemptions;
    r.swaps = report_.swaps;
    r.swaps_refused = report_.swaps_refused;
    r.moves = report_.moves;
    r.admitted_prompt_tokens = report_.prompt_tokens;
    r.hit_tokens = report_.hit_tokens;
    r.computed_prompt_tokens = report_.computed_tokens;
    r.skipped_lines = requests_.skipped ? requests_.skipped() : 0;
    r.mean_in_system = system_series_.mean(end);
    r.mean_waiting = waiting_series_.mean(end);
    r.mean_running = r.mean_in_system - r.mean_waiting;
    r.waiting = waiting_series_.points(end);
    r.in_system = system_series_.points(end);
    for (Pool& pool : pools_) {
        const PoolSpec& spec = *pool.spec;
        PoolResult p;
        p.name = spec.name;
        p.iterations = pool.iterations;
        const double engine_ps = pool.held.mean(end) * static_cast<double>(end.ps);
        const double pages = static_cast<double>(pool.pages_at_start);
        p.busy_fraction = engine_ps > 0 ? static_cast<double>(pool.busy_ps) / engine_ps : 0.0;
        p.prompt_fraction =
            pool.busy_ps > 0 ? pool.prompt_ps / static_cast<double>(pool.busy_ps) : 0.0;
        p.gpu_seconds = engine_ps * 1e-12 * static_cast<double>(spec.gpus_per_engine) /
                        static_cast<double>(spec.lanes);
        p.kv_pages_total = pool.pages_at_start;
        p.kv_tokens = pool.pages_at_start * spec.group.kv.page_tokens;
        p.kv_mean = pool.used_pages.mean(end) / pages;
        p.kv_peak = static_cast<double>(pool.used_pages.greatest()) / pages;
        p.engines_peak = pool.held.greatest() / spec.lanes;
        p.kv_pages = pool.used_pages.points(end);
        p.waiting = pool.waiting.points(end);
        p.engines = pool.held.points(end);
        r.iterations += pool.iterations;
        r.pools.push_back(std::move(p));
    }
    r.fingerprint = fingerprint_.hex();
    judge(r);
    return std::move(result_);
}

ServingResult simulate_serving(const ClusterSpec& spec, const RequestStream& requests) {
    return Cluster(spec, requests).run();
}

}  // namespace orrery
