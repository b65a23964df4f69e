#pragma once
// One number for everything that happened in a simulation, whatever the order it was recorded in.
//
//   fingerprint = sum over segments of w(rank) * h(stream, segment, start, end)   mod 2^128
//
// with h a 128-bit hash and w an odd 128-bit hash of the rank. The sum makes it free of order; the
// product lets a class of ranks with one common history be added at once, by the sum of the
// weights of its members, and gives the same number as adding them one by one. So a folded and an
// unfolded run agree bit for bit exactly where every rank's history agrees.

#include <bit>
#include <cstdint>
#include <string>

#include "core/random.hpp"

namespace orrery {

__extension__ typedef unsigned __int128 uint128;

// Weight of a rank, or the summed weight of a class of ranks.
struct RankWeight {
    uint128 value = 0;

    RankWeight() = default;
    explicit constexpr RankWeight(std::uint32_t rank)
        : value(uint128{mix64(rank)} << 64 | mix64(~std::uint64_t{rank}) | 1) {}
    constexpr RankWeight& operator+=(RankWeight other) { return value += other.value, *this; }
    constexpr bool operator==(const RankWeight&) const = default;
};

class Fingerprint {
  public:
    // Adds one segment of every rank in `ranks`, `multiplicity` times over. Times in picoseconds.
    // The one call per segment: five mixes and one 128-bit product.
    constexpr void add(RankWeight ranks, std::uint32_t stream, std::uint32_t segment,
                       std::int64_t start_ps, std::int64_t end_ps, std::uint64_t multiplicity = 1) {
        sum_ += ranks.value * hash(stream, segment, start_ps, end_ps) * multiplicity;
    }
    constexpr void add(std::uint32_t rank, std::uint32_t stream, std::uint32_t segment,
                       std::int64_t start_ps, std::int64_t end_ps, std::uint64_t multiplicity = 1) {
        add(RankWeight(rank), stream, segment, start_ps, end_ps, multiplicity);
    }
    constexpr Fingerprint& operator+=(Fingerprint other) { return sum_ += other.sum_, *this; }
    friend constexpr Fingerprint operator+(Fingerprint a, Fingerprint b) { return a += b; }
    constexpr bool operator==(const Fingerprint&) const = default;

    // 32 hexadecimal digits, most significant first.
    std::string hex() const {
        std::string text(32, '0');
        for (int i = 0; i < 32; ++i) {
            text[static_cast<std::size_t>(31 - i)] =
                "0123456789abcdef"[static_cast<unsigned>(sum_ >> (4 * i)) & 15U];
        }
        return text;
    }

  private:
    // The three words are mixed apart, then combined in two unlike ways.
    static constexpr uint128 hash(std::uint32_t stream, std::uint32_t segment,
                                  std::int64_t start_ps, std::int64_t end_ps) {
        const std::uint64_t a = mix64(std::uint64_t{stream} << 32 | segment);
        const std::uint64_t b = mix64(static_cast<std::uint64_t>(start_ps) ^ 0x6a09e667f3bcc908U);
        const std::uint64_t c = mix64(static_cast<std::uint64_t>(end_ps) ^ 0xbb67ae8584caa73bU);
        const std::uint64_t high = mix64(a + 3 * b + 5 * c);
        const std::uint64_t low = mix64(a ^ std::rotl(b, 21) ^ std::rotl(c, 42));
        return uint128{high} << 64 | low;
    }

    uint128 sum_ = 0;
};

}  // namespace orrery
