#pragma once
// A timer in front of another one: iterations that only decode are asked for on a grid and
// remembered.
//
//   context -> the middle of its part, 128 equal parts an octave (as in sketch.hpp): at most 0.39 %
//   from it; below 256 tokens exact
//
// A time grows at most in proportion to the context it reads, so it is at most 0.39 % off. What is
// remembered depends on the grid point alone, not on who asked first: answers do not depend on the
// order of questions. Iterations with prompts are passed on as they are.

#include <bit>
#include <vector>

#include "core/random.hpp"
#include "serving/cluster_spec.hpp"

namespace orrery {

class TimerMemo {
  public:
    explicit TimerMemo(AnyTimer timer) : timer_(timer), places_(kPlaces) {}

    SimDuration time(const Iteration& iteration) {
        if (iteration.prefill_tokens > 0 || iteration.decode_sequences == 0) {
            return timer_.time(iteration);
        }
        const std::int64_t context = on_grid(iteration.decode_context);
        const std::uint64_t hash =
            mix64(static_cast<std::uint64_t>(context) << 20 ^
                  static_cast<std::uint64_t>(iteration.decode_sequences) << 4 ^
                  static_cast<std::uint64_t>(iteration.decode_tokens));
        Place& place = places_[hash & (kPlaces - 1)];
        if (place.sequences != iteration.decode_sequences || place.context != context ||
            place.tokens != iteration.decode_tokens) {
            Iteration asked = iteration;
            asked.decode_context = context;
            place = {iteration.decode_sequences, iteration.decode_tokens, context,
                     timer_.time(asked)};
        }
        return place.time;
    }

    static std::int64_t on_grid(std::int64_t context) {
        const int octave =
            std::max(0, static_cast<int>(std::bit_width(static_cast<std::uint64_t>(context))) - 8);
        return ((context >> octave) << octave) + ((std::int64_t{1} << octave) >> 1);
    }

  private:
    static constexpr std::size_t kPlaces = std::size_t{1} << 14;
    struct Place {
        std::int64_t sequences = 0, tokens = 0, context = 0;
        SimDuration time = {};
    };
    AnyTimer timer_;
    std::vector<Place> places_;
};

}  // namespace orrery
