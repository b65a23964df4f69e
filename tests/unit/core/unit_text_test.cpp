#include "core/unit_text.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

namespace orrery {
namespace {

template <class Q>
double parsed(std::string_view text) {
    return parse_quantity<Q>(text).value();
}

template <class Q>
std::string rule_for(std::string_view text) {
    try {
        parse_quantity<Q>(text);
    } catch (const std::invalid_argument& rule) {
        return rule.what();
    }
    return "accepted";
}

// The double nearest to the decimal text, hence EXPECT_EQ.
TEST(UnitText, Times) {
    EXPECT_EQ(parsed<Seconds>("25 us"), 25e-6);
    EXPECT_EQ(parsed<Seconds>("25 \u00b5s"), 25e-6);
    EXPECT_EQ(parsed<Seconds>("1.5 ns"), 1.5e-9);
    EXPECT_EQ(parsed<Seconds>("3 ps"), 3e-12);
    EXPECT_EQ(parsed<Seconds>("129.0 ms"), 0.129);
    EXPECT_EQ(parsed<Seconds>("19.926 s"), 19.926);
    EXPECT_EQ(parsed<Seconds>("2 min"), 120.0);
    EXPECT_EQ(parsed<Seconds>("1.5 h"), 5400.0);
    EXPECT_EQ(parsed<Seconds>("2 d"), 172800.0);
    EXPECT_EQ(parsed<Seconds>("0 s"), 0.0);
    EXPECT_EQ(parsed<Seconds>("5ms"), 5e-3);
    EXPECT_EQ(parsed<Seconds>("1e3 us"), 1e-3);
}

// Gi = 2^30 = 1,073,741,824; G = 10^9.
TEST(UnitText, SizesKnowBinaryFromDecimal) {
    EXPECT_EQ(parsed<Bytes>("80 GB"), 80e9);
    EXPECT_EQ(parsed<Bytes>("1 GiB"), 1073741824.0);
    EXPECT_EQ(parsed<Bytes>("1 KiB"), 1024.0);
    EXPECT_EQ(parsed<Bytes>("2 MiB"), 2097152.0);
    EXPECT_EQ(parsed<Bytes>("1 TiB"), 1099511627776.0);
    EXPECT_EQ(parsed<Bytes>("1 PiB"), 1125899906842624.0);
    EXPECT_EQ(parsed<Bytes>("1 kB"), 1000.0);
    EXPECT_EQ(parsed<Bytes>("1 KB"), 1000.0);
    EXPECT_EQ(parsed<Bytes>("70272 B"), 70272.0);
}

// 400 Gb/s is 50 GB/s: eight bits to the byte.
TEST(UnitText, DataRatesKnowBitsFromBytes) {
    EXPECT_EQ(parsed<BytesPerSecond>("50 GB/s"), 50e9);
    EXPECT_EQ(parsed<BytesPerSecond>("400 Gb/s"), 50e9);
    EXPECT_EQ(parsed<BytesPerSecond>("400 Gbit/s"), 50e9);
    EXPECT_EQ(parsed<BytesPerSecond>("8 Gib/s"), 1073741824.0);
    EXPECT_EQ(parsed<BytesPerSecond>("3.35 TB/s"), 3.35e12);
    EXPECT_EQ(parsed<BytesPerSecond>("8 b/s"), 1.0);
}

TEST(UnitText, ComputeFrequencyPowerMoneyRatio) {
    EXPECT_EQ(parsed<Flops>("250.4 GFLOP"), 250.4e9);
    EXPECT_EQ(parsed<Flops>("3.3 YFLOP"), 3.3e24);
    EXPECT_EQ(parsed<FlopsPerSecond>("989 TFLOP/s"), 989e12);
    EXPECT_EQ(parsed<FlopsPerSecond>("989 TFLOPS"), 989e12);
    EXPECT_EQ(parsed<FlopsPerSecond>("1.979 PFLOP/s"), 1.979e15);
    EXPECT_EQ(parsed<Hertz>("1980 MHz"), 1.98e9);
    EXPECT_EQ(parsed<Watts>("700 W"), 700.0);
    EXPECT_EQ(parsed<Watts>("10.2 kW"), 10200.0);
    EXPECT_EQ(parsed<Dollars>("5.576 MUSD"), 5.576e6);
    EXPECT_EQ(parsed<DollarsPerHour>("2 USD/h"), 2.0);
    EXPECT_EQ(parsed<Ratio>("85 %"), 0.85);
    EXPECT_EQ(parsed<Ratio>("85%"), 0.85);
    EXPECT_EQ(parsed<Ratio>("0.85"), 0.85);
    EXPECT_EQ(parsed<Ratio>("-5 %"), -0.05);
}

// What looks like a quantity but is another, or a slip of the shift key.
TEST(UnitText, WrongUnitsAreRefusedWithAnExample) {
    EXPECT_EQ(rule_for<Seconds>("25 GB"), "must be a time such as \"25 us\"");
    EXPECT_EQ(rule_for<Seconds>("25 Ms"), "must be a time such as \"25 us\"");
    EXPECT_EQ(rule_for<Seconds>("25"), "must be a time such as \"25 us\"");
    EXPECT_EQ(rule_for<Seconds>(""), "must be a time such as \"25 us\"");
    EXPECT_EQ(rule_for<Seconds>("fast"), "must be a time such as \"25 us\"");
    EXPECT_EQ(rule_for<Seconds>("25 us "), "must be a time such as \"25 us\"");
    EXPECT_EQ(rule_for<Seconds>("inf s"), "must be a time such as \"25 us\"");
    EXPECT_EQ(rule_for<Seconds>("nan s"), "must be a time such as \"25 us\"");
    EXPECT_EQ(rule_for<Seconds>("1e400 s"), "must be a time such as \"25 us\"");
    EXPECT_EQ(rule_for<Bytes>("80 Gb"), "must be a size such as \"80 GB\" or \"1 GiB\"");
    EXPECT_EQ(rule_for<Bytes>("80 mB"), "must be a size such as \"80 GB\" or \"1 GiB\"");
    EXPECT_EQ(rule_for<Bytes>("1e308 GB"), "must be a size such as \"80 GB\" or \"1 GiB\"");
    const std::string rate = "must be a data rate such as \"50 GB/s\" or \"400 Gb/s\"";
    EXPECT_EQ(rule_for<BytesPerSecond>("50 GB"), rate);
    EXPECT_EQ(rule_for<BytesPerSecond>("50 mB/s"), rate);
    EXPECT_EQ(rule_for<Flops>("250 GFLOPS"), "must be an operation count such as \"250 GFLOP\"");
    EXPECT_EQ(rule_for<FlopsPerSecond>("989 GiFLOP/s"),
              "must be a compute rate such as \"989 TFLOP/s\"");
    EXPECT_EQ(rule_for<DollarsPerHour>("2 USD"), "must be a price such as \"2 USD/h\"");
    EXPECT_EQ(rule_for<Ratio>("85 percent"),
              "must be a plain number or a percentage such as \"85 %\"");
}

TEST(UnitText, SignsAreChecked) {
    EXPECT_EQ(rule_for<Seconds>("-1 us"), "must not be negative");
    EXPECT_EQ(rule_for<DollarsPerHour>("-2 USD/h"), "must not be negative");
    EXPECT_EQ(rule_for<BytesPerSecond>("0 GB/s"), "must be above zero");
    EXPECT_EQ(rule_for<FlopsPerSecond>("-1 TFLOP/s"), "must be above zero");
    EXPECT_EQ(rule_for<Bytes>("0 B"), "accepted");
}

// Four significant digits unless asked otherwise.
TEST(UnitText, WritesReadably) {
    EXPECT_EQ(to_text(Seconds(19.926)), "19.93 s");
    EXPECT_EQ(to_text(Seconds(0.00113)), "1.130 ms");
    EXPECT_EQ(to_text(Seconds(25e-6)), "25.00 us");
    EXPECT_EQ(to_text(Seconds(3e-12)), "3.000 ps");
    EXPECT_EQ(to_text(Seconds(86400)), "86400 s");
    EXPECT_EQ(to_text(Bytes(58.7e6)), "58.70 MB");
    EXPECT_EQ(to_text(Bytes(512)), "512 B");
    EXPECT_EQ(to_text(Bytes(0)), "0 B");
    EXPECT_EQ(to_text(Bytes(70272)), "70.27 kB");
    EXPECT_EQ(to_text(BytesPerSecond(400e9), 3), "400 GB/s");
    EXPECT_EQ(to_text(FlopsPerSecond(989e12), 3), "989 TFLOP/s");
    EXPECT_EQ(to_text(Flops(3.3e24)), "3.300 YFLOP");
    EXPECT_EQ(to_text(Dollars(5.576e6)), "5.576 MUSD");
    EXPECT_EQ(to_text(DollarsPerHour(2)), "2.000 USD/h");
    EXPECT_EQ(to_text(Ratio(0.4312345)), "0.4312");
    EXPECT_EQ(to_text(Seconds(-0.5), 2), "-500 ms");
    EXPECT_EQ(format_quantity(2788000, "h"), "2788000 h");
    EXPECT_EQ(format_quantity(42.5, "%", 3), "42.5 %");
}

TEST(UnitText, CountsKeepTheirWholeDigits) {
    EXPECT_EQ(format_quantity(9999.6, "1", 4), "10000");
    EXPECT_EQ(format_quantity(123456.7, "", 4), "123457");
    EXPECT_EQ(format_quantity(999.96, "1", 4), "1000");
    EXPECT_EQ(format_quantity(0.12345, "1", 4), "0.1235");
    EXPECT_EQ(format_quantity(1e20, "1", 4), "1e+20");
}

// 999.96 rounds to 1000 at four digits, which is 1.000 of the next prefix.
TEST(UnitText, RoundingMovesToTheNextPrefix) {
    EXPECT_EQ(to_text(Bytes(999.96e9)), "1.000 TB");
    EXPECT_EQ(to_text(Bytes(999.94e9)), "999.9 GB");
    EXPECT_EQ(to_text(Seconds(0.99996e-3)), "1.000 ms");
    EXPECT_EQ(to_text(Seconds(9.9996)), "10.00 s");
}

TEST(UnitText, WhatIsWrittenReadsBack) {
    for (const double value : {1.0, 999.0, 1234.0, 5.5e6, 80e9, 3.35e12}) {
        EXPECT_NEAR(parsed<Bytes>(to_text(Bytes(value), 12)), value, 1e-9 * value);
        EXPECT_NEAR(parsed<BytesPerSecond>(to_text(BytesPerSecond(value), 12)), value,
                    1e-9 * value);
        EXPECT_NEAR(parsed<Seconds>(to_text(Seconds(value * 1e-12), 12)), value * 1e-12,
                    1e-21 * value);
    }
}

}  // namespace
}  // namespace orrery
