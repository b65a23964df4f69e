// Only physically meaningful operators exist: most of these tests are the compiler's.

#include "core/quantity.hpp"

#include <concepts>

#include <gtest/gtest.h>

#include "core/id.hpp"

namespace orrery {
namespace {

template <class A, class B>
concept Addable = requires(A a, B b) {
    a + b;
};
template <class A, class B>
concept Dividable = requires(A a, B b) {
    a / b;
};
template <class A, class B>
concept Multipliable = requires(A a, B b) {
    a* b;
};
template <class A, class B>
concept Comparable = requires(A a, B b) {
    a < b;
};

static_assert(Addable<Bytes, Bytes>);
static_assert(!Addable<Bytes, Seconds>);
static_assert(!Addable<Bytes, double>);
static_assert(!Addable<BytesPerSecond, FlopsPerSecond>);
static_assert(!Comparable<Bytes, Flops>);
static_assert(!Comparable<Seconds, double>);
static_assert(!Multipliable<Bytes, Bytes>);
static_assert(!Multipliable<Seconds, Seconds>);
static_assert(!Dividable<Seconds, Bytes>);
static_assert(!Dividable<Bytes, FlopsPerSecond>);
static_assert(!std::convertible_to<double, Seconds>);
static_assert(!std::convertible_to<Seconds, double>);
static_assert(!std::convertible_to<Bytes, Flops>);

static_assert(std::same_as<decltype(Bytes(1) / BytesPerSecond(1)), Seconds>);
static_assert(std::same_as<decltype(Flops(1) / FlopsPerSecond(1)), Seconds>);
static_assert(std::same_as<decltype(Bytes(1) / Seconds(1)), BytesPerSecond>);
static_assert(std::same_as<decltype(Flops(1) / Seconds(1)), FlopsPerSecond>);
static_assert(std::same_as<decltype(Bytes(1) / Bytes(1)), double>);
static_assert(sizeof(Seconds) == sizeof(double));

struct RankTag;
struct LinkTag;
static_assert(!Comparable<Id<RankTag>, Id<LinkTag>>);
static_assert(Id<RankTag>{1} < Id<RankTag>{2});

// 100 GB over 50 GB/s is 2 s; 2 s at 50 GB/s moves 100 GB again.
TEST(Quantity, RatesTurnAmountsIntoTimesAndBack) {
    const Seconds t = Bytes(100e9) / BytesPerSecond(50e9);
    EXPECT_DOUBLE_EQ(t.value(), 2.0);
    EXPECT_DOUBLE_EQ((BytesPerSecond(50e9) * t).value(), 100e9);
    EXPECT_DOUBLE_EQ((FlopsPerSecond(989e12) * Seconds(2)).value(), 1978e12);
    EXPECT_DOUBLE_EQ((Flops(1978e12) / Seconds(2)).value(), 989e12);
}

TEST(Quantity, AddsScalesAndCompares) {
    Seconds t(1.5);
    t += Seconds(0.5);
    t -= Seconds(1.0);
    t *= 4.0;
    EXPECT_DOUBLE_EQ(t.value(), 4.0);
    EXPECT_DOUBLE_EQ((0.5 * t + t / 4.0 - Seconds(1)).value(), 2.0);
    EXPECT_DOUBLE_EQ(Seconds(6) / Seconds(4), 1.5);
    EXPECT_LT(Seconds(1), Seconds(2));
    EXPECT_EQ(Bytes(), Bytes(0));
}

}  // namespace
}  // namespace orrery
