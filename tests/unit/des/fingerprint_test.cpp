#include "des/fingerprint.hpp"

#include <set>

namespace orrery {
namespace {

TEST(Fingerprint, EmptyIsZero) {
    EXPECT_EQ(Fingerprint().hex(), "00000000000000000000000000000000");
}

// The sum does not know the order, nor how it was split.
TEST(Fingerprint, OrderFree) {
    Fingerprint forward;
    Fingerprint backward;
    Fingerprint evens;
    Fingerprint odds;
    for (std::uint32_t i = 0; i < 100; ++i) {
        forward.add(i, 1, 2 * i, i, i + 5);
        backward.add(99 - i, 1, 2 * (99 - i), 99 - i, 99 - i + 5);
        (i % 2 ? odds : evens).add(i, 1, 2 * i, i, i + 5);
    }
    EXPECT_EQ(forward, backward);
    EXPECT_EQ(forward, odds + evens);
    EXPECT_EQ(forward.hex(), backward.hex());
}

// Each of the five fields counts, and so does exchanging two of them.
TEST(Fingerprint, EveryFieldCounts) {
    std::set<std::string> seen;
    const auto one = [&](std::uint32_t rank, std::uint32_t stream, std::uint32_t segment,
                         std::int64_t start, std::int64_t end) {
        Fingerprint fingerprint;
        fingerprint.add(rank, stream, segment, start, end);
        seen.insert(fingerprint.hex());
    };
    one(1, 2, 3, 4, 5);
    one(2, 2, 3, 4, 5);
    one(1, 3, 3, 4, 5);
    one(1, 2, 4, 4, 5);
    one(1, 2, 3, 5, 5);
    one(1, 2, 3, 4, 6);
    one(2, 1, 3, 4, 5);
    one(1, 3, 2, 4, 5);
    one(1, 2, 3, 5, 4);
    one(0, 0, 0, 0, 0);
    EXPECT_EQ(seen.size(), 10U);
}

// Exchanging the times of two ranks, or of two segments, changes the sum.
TEST(Fingerprint, KnowsWhoDidWhat) {
    Fingerprint straight;
    straight.add(0, 0, 0, 0, 10);
    straight.add(1, 0, 0, 0, 20);
    Fingerprint crossed;
    crossed.add(0, 0, 0, 0, 20);
    crossed.add(1, 0, 0, 0, 10);
    EXPECT_NE(straight, crossed);
}

// Ranks 3, 4 and 9 with the same history: one by one, or as a class with the summed weight.
TEST(Fingerprint, ClassOfRanksAddsAtOnce) {
    RankWeight members;
    Fingerprint unfolded;
    for (const std::uint32_t rank : {3U, 4U, 9U}) {
        members += RankWeight(rank);
        unfolded.add(rank, 1, 7, 100, 250);
        unfolded.add(rank, 0, 8, 250, 300);
    }
    Fingerprint folded;
    folded.add(members, 1, 7, 100, 250);
    folded.add(members, 0, 8, 250, 300);
    EXPECT_EQ(folded, unfolded);
}

// Multiplicity 3 is the same segment three times.
TEST(Fingerprint, Multiplicity) {
    Fingerprint thrice;
    thrice.add(5U, 1, 2, 3, 4, 3);
    Fingerprint repeated;
    for (int i = 0; i < 3; ++i) repeated.add(5U, 1, 2, 3, 4);
    EXPECT_EQ(thrice, repeated);
}

}  // namespace
}  // namespace orrery
