// Engines that fail, come back, are started and are drained.
#include <algorithm>

#include "serving/cluster.hpp"
#include "serving/workload.hpp"

namespace orrery {

bool Cluster::more_to_come() const {
    return next_request_.has_value() || !later_.empty() || in_system_ > 0;
}

void Cluster::plan_failures() {
    for (const Failure& failure : spec_.failures.given) {
        const Pool& pool = pools_[static_cast<std::size_t>(failure.pool)];
        const auto engine = pool.first + static_cast<std::uint32_t>(failure.engine);
        simulator_.schedule(failure.at, Kind::given_failure, engine);
    }
    for (std::uint32_t e = 0; e < engines_.size(); ++e) plan_failure(e, SimTime{});
}

// The time between two failures of an engine is a counter hash of its number and their count.
void Cluster::plan_failure(std::uint32_t engine, SimTime from) {
    const double mean = spec_.failures.mean_seconds_between;
    if (mean <= 0 || engines_[engine].state == State::off) return;
    Draws draws(spec_.failures.seed, std::uint64_t{engine} << 32 |
                                         static_cast<std::uint64_t>(engines_[engine].failures));
    const SimTime at = from + to_sim_duration(Seconds(mean * draws.exponential()));
    simulator_.schedule(at, Kind::failure, engine, engines_[engine].generation);
}

void Cluster::set_state(std::uint32_t index, State state) {
    Engine& engine = engines_[index];
    Pool& pool = pools_[engine.pool];
    const bool was_held = engine.state != State::off;
    engine.state = state;
    if (was_held != (state != State::off)) pool.held.add(now(), was_held ? -1 : 1);
    if (state != State::up) return;
    place_blocked_ = false;
    std::vector<std::uint32_t> homeless;
    homeless.swap(homeless_);
    waiting_ -= static_cast<std::int64_t>(homeless.size());
    waiting_series_.set(now(), waiting_);
    for (const std::uint32_t sequence : homeless) route(sequence, false);
}

// In an order that does not depend on that of the events.
void Cluster::change_engines() {
    const auto each = [this](std::vector<std::uint32_t>& due,
                             void (Cluster::*change)(std::uint32_t)) {
        std::sort(due.begin(), due.end());
        scratch_.swap(due);
        due.clear();
        for (const std::uint32_t index : scratch_) (this->*change)(index);
        scratch_.clear();
    };
    each(failing_, &Cluster::fail);
    each(recovering_, &Cluster::restart);
    each(starting_, &Cluster::recover);
    each(scaling_, &Cluster::scale);
    // Each goes before all others: the first request comes last.
    std::sort(retrying_.begin(), retrying_.end(), [this](const auto& a, const auto& b) {
        return sequences_[a.first].number > sequences_[b.first].number;
    });
    for (const auto& [index, life] : retrying_) {
        if ((sequences_[index].life & Event::kGenerationMask) == life) route(index, true);
    }
    retrying_.clear();
}

void Cluster::fail(std::uint32_t failed) {
    Engine& engine = engines_[failed];
    if (engine.state == State::off || engine.state == State::failed) return;
    ++engine.generation;
    ++engine.failures;
    ++result_.failures;
    engine.in_flight = false;
    const bool retires = engine.state == State::draining;
    // Sequences whose KV was here, and those that were to come.
    std::vector<std::uint32_t> lost;
    for (AttentionGroup& group : engine.groups) group.abandon(lost);
    for (std::uint32_t i = 0; i < sequences_.places(); ++i) {
        Sequence& s = sequences_[i];
        if (s.state == SequenceState::unused) continue;
        const bool placed = s.next_engine != Sequence::kNone;
        if (s.engine == failed && s.state == SequenceState::handing_over) lost.push_back(i);
        if (placed && (s.engine == failed || s.next_engine == failed)) {
            if (s.next_engine != failed) engines_[s.next_engine].groups[s.next_group].cancel(i);
            s.next_engine = Sequence::kNone;
            s.parts_left = 0;
            const bool waits = s.state == SequenceState::handing_over && s.engine != failed;
            if (waits) placeless_.push_back(i);
        }
    }
    const auto gone = [&](std::uint32_t i) { return sequences_[i].engine == failed; };
    placeless_.erase(
        std::remove_if(placeless_.begin() + static_cast<std::ptrdiff_t>(placeless_head_),
                       placeless_.end(), gone),
        placeless_.end());
    place_blocked_ = false;
    std::sort(lost.begin(), lost.end(), [this](std::uint32_t a, std::uint32_t b) {
        return sequences_[a].number > sequences_[b].number;
    });
    engine.sending_until.assign(engine.groups.size(), SimTime{});
    count(engine);
    set_state(failed, retires ? State::off : State::failed);
    for (const std::uint32_t i : lost) retry(i);
    if (!retires) {
        simulator_.schedule(now() + spec_.failures.repair, Kind::recovery, failed,
                            engine.generation);
    }
}

// What a sequence has given out stays given out; its KV is computed again elsewhere.
void Cluster::retry(std::uint32_t index) {
    Sequence& s = sequences_[index];
    s.state = SequenceState::waiting;
    s.engine = Sequence::kNone;
    s.pages = s.held_blocks = s.cached = 0;
    ++result_.retries;
    if (++s.retries > spec_.failures.most_retries) {
        ++result_.lost;
        system_series_.set(now(), --in_system_);
        sequences_.remove(index);
        return;
    }
    simulator_.schedule(now() + spec_.failures.detection, Kind::retry, index, s.life);
}

// An engine that starts now serves from then on. Those of a pool read from the store one after the
// other; where the weights are converted first, they are read after that.
SimTime Cluster::serves_at(std::uint32_t number) {
    Pool& pool = pools_[number];
    const Startup& startup = pool.spec->startup;
    const SimTime begin = startup.convert_first ? now() + startup.convert : now();
    SimTime end = begin + startup.read;
    if (startup.store.ps > 0) {
        pool.store_free = std::max(pool.store_free, begin) + startup.store;
        end = std::max(end, pool.store_free);
    }
    return (startup.convert_first ? end : end + startup.convert) + startup.warm_up;
}

// Repaired: reads its weights again.
void Cluster::restart(std::uint32_t index) {
    const SimTime serves = serves_at(engines_[index].pool);
    if (serves == now()) return recover(index);
    set_state(index, State::starting);
    simulator_.schedule(serves, Kind::started, index, engines_[index].generation);
}

// Up again, or for the first time.
void Cluster::recover(std::uint32_t index) {
    if (engines_[index].state != State::failed && engines_[index].state != State::starting) return;
    set_state(index, State::up);
    touch(index);
    if (more_to_come()) plan_failure(index, now());
}

void Cluster::retire_if_idle(std::uint32_t index) {
    for (const AttentionGroup& group : engines_[index].groups) {
        if (!group.idle()) return;
    }
    for (AttentionGroup& group : engines_[index].groups) group.cache().clear();
    ++engines_[index].generation;
    set_state(index, State::off);
}

bool Cluster::all_off(std::uint32_t first, std::uint32_t lanes) const {
    for (std::uint32_t e = first; e < first + lanes; ++e) {
        if (engines_[e].state != State::off) return false;
    }
    return true;
}

void Cluster::scale(std::uint32_t number) {
    if (!more_to_come()) return;
    Pool& pool = pools_[number];
    const Autoscale& rule = pool.spec->autoscale;
    simulator_.schedule(now() + rule.interval, Kind::scale, number);
    const auto lanes = static_cast<std::uint32_t>(pool.spec->lanes);
    std::int64_t active = 0, waiting = 0, used = 0, pages = 0;
    std::uint32_t cold = Sequence::kNone, last_up = Sequence::kNone;  // first lanes
    for (std::uint32_t e = pool.first; e < pool.first + pool.engines; ++e) {
        const Engine& engine = engines_[e];
        const bool first_lane = (e - pool.first) % lanes == 0;
        if (first_lane && cold == Sequence::kNone && all_off(e, lanes)) cold = e;
        if (first_lane && engine.state == State::up) last_up = e;
        if (engine.state != State::up && engine.state != State::starting) continue;
        ++active;
        waiting += engine.waiting;
        used += engine.used_pages;
        pages += pool.spec->group.kv.pages * pool.spec->groups;
    }
    if (pool.spec->role == EngineRole::decode) {
        waiting += static_cast<std::int64_t>(placeless_.size() - placeless_head_);
    } else {
        waiting += static_cast<std::int64_t>(homeless_.size());
    }
    const bool more =
        static_cast<double>(waiting) > rule.waiting_above * static_cast<double>(active);
    if (more && cold != Sequence::kNone && active < rule.most * lanes) {
        const SimTime serves = serves_at(number);
        for (std::uint32_t e = cold; e < cold + lanes; ++e) {
            set_state(e, State::starting);
            simulator_.schedule(serves, Kind::started, e, engines_[e].generation);
        }
    } else if (waiting == 0 && active > rule.least * lanes && last_up != Sequence::kNone &&
               static_cast<double>(used) < rule.use_below * static_cast<double>(pages)) {
        for (std::uint32_t e = last_up; e < last_up + lanes; ++e) {
            if (engines_[e].state != State::up) continue;
            set_state(e, State::draining);
            if (!engines_[e].in_flight) retire_if_idle(e);
        }
    }
}

}  // namespace orrery
