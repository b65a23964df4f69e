#pragma once
// A timer in front of another one: what engines and groups that only decode take is asked for on a
// grid and remembered.
//
//   context -> the middle of its part, 128 equal parts an octave (as in sketch.hpp): at most 0.39 %
//   from it; below 256 tokens exact
//
// A time grows at most in proportion to the context it reads, so it is at most 0.39 % off. What is
// remembered depends on the grid point alone, not on who asked first: answers do not depend on the
// order of questions. Iterations with prompts are passed on as they are: they differ every time.

#include <bit>
#include <vector>

#include "core/random.hpp"
#include "serving/cluster_spec.hpp"

namespace orrery {

class TimerMemo {
  public:
    explicit TimerMemo(AnyTimer timer) : timer_(timer), times_(kPlaces), own_times_(kPlaces) {}

    SimDuration time(const EngineIteration& iteration) {
        if (iteration.prompts || iteration.slowest.decode_sequences == 0) {
            return timer_.time(iteration);
        }
        const Place asked = place_of(iteration.slowest, iteration.mean_tokens,
                                     static_cast<std::uint64_t>(iteration.fullest_tokens));
        return recall(times_, asked, [&] {
            EngineIteration at = iteration;
            at.slowest.decode_context = asked.context;
            return timer_.time(at);
        });
    }
    SimDuration own_time(const Iteration& group, bool prompts) {
        if (group.prefill_tokens > 0 || group.decode_sequences == 0) {
            return timer_.own_time(group, prompts);
        }
        const Place asked = place_of(group, 0, prompts ? 1 : 0);
        return recall(own_times_, asked, [&] {
            Iteration at = group;
            at.decode_context = asked.context;
            return timer_.own_time(at, prompts);
        });
    }

    static std::int64_t on_grid(std::int64_t context) {
        const int octave =
            std::max(0, static_cast<int>(std::bit_width(static_cast<std::uint64_t>(context))) - 8);
        return ((context >> octave) << octave) + ((std::int64_t{1} << octave) >> 1);
    }

  private:
    static constexpr std::size_t kPlaces = std::size_t{1} << 14;
    struct Place {
        std::int64_t context = 0;
        std::uint32_t sequences = 0, tokens = 0, mean = 0, more = 0;  // sequences 0: empty
        SimDuration time = {};
        bool same(const Place& o) const {
            return context == o.context && sequences == o.sequences && tokens == o.tokens &&
                   mean == o.mean && more == o.more;
        }
    };
    static Place place_of(const Iteration& group, std::int64_t mean, std::uint64_t more) {
        const auto narrow = [](auto n) { return static_cast<std::uint32_t>(n); };
        return {on_grid(group.decode_context), narrow(group.decode_sequences),
                narrow(group.decode_tokens), narrow(mean), narrow(more)};
    }
    template <class Ask>
    static SimDuration recall(std::vector<Place>& places, Place asked, const Ask& ask) {
        const std::uint64_t counts = std::uint64_t{asked.sequences} << 32 ^
                                     std::uint64_t{asked.tokens} << 24 ^
                                     std::uint64_t{asked.mean} << 12 ^ asked.more;
        const std::uint64_t hash =
            mix64(static_cast<std::uint64_t>(asked.context) << 20 ^ mix64(counts));
        Place& place = places[hash & (kPlaces - 1)];
        if (!place.same(asked)) {
            asked.time = ask();
            place = asked;
        }
        return place.time;
    }

    AnyTimer timer_;
    std::vector<Place> times_, own_times_;
};

}  // namespace orrery
