#include "des/event.hpp"

namespace orrery {
namespace {

// 0x07 in the top 8 bits, 0xabcdef below: 0x07abcdef.
TEST(Event, PacksKindAndGeneration) {
    const Event event = Event::make(5, 7, 9, 0xabcdef);
    EXPECT_EQ(event.kind_and_generation, 0x07abcdefU);
    EXPECT_EQ(event.kind(), 7);
    EXPECT_EQ(event.generation(), 0xabcdefU);
    EXPECT_EQ(event.time_ps, 5);
    EXPECT_EQ(event.target, 9U);
}

// 2^24 + 3 = 3 modulo 2^24; the kind is untouched.
TEST(Event, GenerationWrapsAt24Bits) {
    const Event event = Event::make(0, 255, 0, (1U << 24) + 3);
    EXPECT_EQ(event.kind(), 255);
    EXPECT_EQ(event.generation(), 3U);
}

}  // namespace
}  // namespace orrery
