#include "serving/overlap.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "core/time.hpp"
#include "replay/replay.hpp"

namespace orrery {

namespace {

std::int64_t picoseconds(double seconds) { return to_sim_duration(Seconds(seconds)).ps; }

// Writes one rank's program; a chain is the last instruction of one micro-batch's dependent work.
class Writer {
  public:
    Writer() {
        input_.segments = SegmentTable(kPhaseEnvironments);
        input_.programs.resize(1);
        input_.ranks.resize(1);
        input_.group_count.fill(1);
        input_.labels.push_back("layer");
    }

    struct Chain {
        Stream stream = Stream::compute;
        std::uint32_t count = 0;
    };
    SegmentId segment(const PhaseTime& time) {
        OperatorDurations durations;
        for (std::size_t e = 0; e < time.seconds.size(); ++e) {
            durations.ps[e] = picoseconds(time.seconds[e]);
        }
        return input_.segments.add(std::array{durations});
    }
    SegmentId segment(double seconds) {
        PhaseTime time;
        time.seconds.fill(seconds);
        return segment(time);
    }
    std::uint32_t transfer(double seconds, std::uint8_t environment, const char* name) {
        input_.collectives.push_back(
            {picoseconds(seconds), Group::none, environment, environment, name});
        return static_cast<std::uint32_t>(input_.collectives.size() - 1);
    }
    void run(Chain& chain, SegmentId id) { add(chain, Stream::compute, InstructionKind::run, id); }
    // On the compute stream, whatever the chain waits for.
    void run_freely(SegmentId id) {
        Chain here{Stream::compute, count(Stream::compute)};
        run(here, id);
    }
    void move(Chain& chain, std::uint32_t index) {
        add(chain, Stream::communication, InstructionKind::collective, index);
    }
    double makespan() { return to_seconds(SimDuration{replay(input_, {}).makespan_ps}).value(); }

  private:
    std::uint32_t count(Stream s) const {
        return static_cast<std::uint32_t>(input_.programs[0].stream(s).size());
    }
    void add(Chain& chain, Stream s, InstructionKind kind, std::uint32_t index) {
        Instruction instruction{kind, Stream::compute, 0, index, 0};
        if (chain.stream != s) {
            instruction.wait_stream = chain.stream;
            instruction.wait_count = chain.count;
        }
        input_.programs[0].stream(s).push_back(instruction);
        chain = {s, count(s)};
    }
    ReplayInput input_;
};

// Takes the same calls and runs them at once; a chain is when its last instruction ended.
class Stopwatch {
  public:
    struct Chain {
        double ended = 0;
    };
    SegmentId segment(const PhaseTime& time) {
        segments_.push_back(time);
        return static_cast<SegmentId>(segments_.size() - 1);
    }
    SegmentId segment(double seconds) {
        PhaseTime time;
        time.seconds.fill(seconds);
        return segment(time);
    }
    std::uint32_t transfer(double seconds, std::uint8_t environment, const char*) {
        transfers_.push_back({seconds, environment});
        return static_cast<std::uint32_t>(transfers_.size() - 1);
    }
    void run(Chain& chain, SegmentId id) {
        compute_ = end_of(std::max(compute_, chain.ended), segments_[id]);
        chain.ended = compute_;
    }
    void run_freely(SegmentId id) { compute_ = end_of(compute_, segments_[id]); }
    void move(Chain& chain, std::uint32_t index) {
        const double begin = std::max(communication_, chain.ended);
        communication_ = begin + transfers_[index].seconds;
        flying_.push_back({begin, communication_, transfers_[index].environment});
        chain.ended = communication_;
    }
    double makespan() const { return std::max(compute_, communication_); }

  private:
    struct Transfer {
        double seconds;
        std::size_t environment;
    };
    struct Flight {
        double begin, end;
        std::size_t environment;
    };
    double end_of(double at, const PhaseTime& time) {
        double left = 1;  // of the segment
        for (; next_ < flying_.size(); ++next_) {
            const Flight& flight = flying_[next_];
            for (const bool in_flight : {false, true}) {
                const double until = in_flight ? flight.end : flight.begin;
                if (at >= until) continue;
                const double whole = time.seconds[in_flight ? flight.environment : 0];
                if (left * whole <= until - at) return at + left * whole;
                left -= (until - at) / whole;
                at = until;
            }
        }
        return at + left * time.alone();
    }
    std::vector<PhaseTime> segments_;
    std::vector<Transfer> transfers_;
    std::vector<Flight> flying_;  // in order of begin
    std::size_t next_ = 0;        // the first that may not have ended
    double compute_ = 0, communication_ = 0;
};

// Segments and transfers of a layer, the same for both micro-batches and every layer.
struct Pieces {
    template <class W>
    Pieces(W& w, const MoeLayerTimes& t) {
        PhaseTime attention = t.core;
        attention += t.out;
        core = w.segment(attention);
        in = w.segment(t.in);
        shared = w.segment(t.shared);
        experts = w.segment(t.experts);
        send = w.segment(t.send);
        receive = w.segment(t.receive);
        const std::uint8_t beside = t.low_latency ? 0 : 1;
        dispatch = w.transfer(t.dispatch, beside, "dispatch");
        combine = w.transfer(t.combine, static_cast<std::uint8_t>(2 * beside), "combine");
    }
    SegmentId in, core, shared, experts, send, receive;
    std::uint32_t dispatch, combine;
};

template <class W>
void single(W& w, const Pieces& p, std::int64_t layers, bool low_latency) {
    typename W::Chain chain;
    for (std::int64_t l = 0; l < layers; ++l) {
        w.run(chain, p.in);
        w.run(chain, p.core);
        if (low_latency) w.run(chain, p.send);
        if (!low_latency) w.run(chain, p.shared);
        w.move(chain, p.dispatch);
        if (low_latency) w.run_freely(p.shared);
        if (low_latency) w.run(chain, p.receive);
        w.run(chain, p.experts);
        if (low_latency) w.run(chain, p.send);
        w.move(chain, p.combine);
        if (low_latency) w.run(chain, p.receive);
    }
    if (!low_latency) w.run(chain, p.receive);  // nothing but the wait for the last combine
}

template <class W>
void normal(W& w, const Pieces& p, std::int64_t layers) {
    std::array<typename W::Chain, 2> chains;
    for (std::int64_t l = 0; l < layers; ++l) {
        for (auto& chain : chains) {
            if (l > 0) w.run_freely(p.shared);
            w.run(chain, p.in);
            w.run(chain, p.core);
            w.move(chain, p.dispatch);
        }
        for (auto& chain : chains) {
            w.run(chain, p.experts);
            w.move(chain, p.combine);
        }
    }
    for (auto& chain : chains) {
        w.run_freely(p.shared);
        w.run(chain, p.receive);
    }
}

template <class W>
void five_stages(W& w, const Pieces& p, std::int64_t layers) {
    typename W::Chain a, b;
    const auto enter = [&](auto& chain) { w.run(chain, p.in); };
    const auto core = [&](auto& chain) {
        w.run(chain, p.core);
        w.run(chain, p.send);
        w.move(chain, p.dispatch);
    };
    const auto experts = [&](auto& chain) {
        w.run(chain, p.receive);
        w.run(chain, p.experts);
        w.run(chain, p.send);
        w.move(chain, p.combine);
    };
    enter(a);
    for (std::int64_t l = 0; l < layers; ++l) {
        core(a);
        w.run_freely(p.shared);
        if (l > 0) w.run(b, p.receive);
        enter(b);
        experts(a);
        core(b);
        w.run_freely(p.shared);
        w.run(a, p.receive);
        if (l + 1 < layers) enter(a);
        experts(b);
    }
    w.run(b, p.receive);
}

template <class W>
double layers_time(const MoeLayerTimes& times, std::int64_t layers, int batches) {
    if (layers == 0) return 0;
    W machine;
    const Pieces pieces(machine, times);
    if (batches == 1) {
        single(machine, pieces, layers, times.low_latency);
    } else if (times.low_latency) {
        five_stages(machine, pieces, layers);
    } else {
        normal(machine, pieces, layers);
    }
    return machine.makespan();
}

}  // namespace

double moe_layers_time(const MoeLayerTimes& times, std::int64_t layers, int batches) {
    return layers_time<Writer>(times, layers, batches);
}

double quick_moe_layers_time(const MoeLayerTimes& times, std::int64_t layers, int batches) {
    return layers_time<Stopwatch>(times, layers, batches);
}

}  // namespace orrery
