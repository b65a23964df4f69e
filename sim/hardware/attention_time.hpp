#pragma once
// Core attention from published or measured times.
//
//   forward, backward   t = T(shape) c, T from the kernel's tiles (attention_tiles.hpp) with the
//                       unit that the long measured shapes ask for, c the ratio of measured time to
//                       T at the measured shapes nearby: the mean of log c over the five nearest,
//                       weighted by 1 / (distance + 0.1)^2, in log2 of the length, half the log2 of
//                       the tiles and 0.3 log2 of the query heads a key head. A measured shape has
//                       its own time. Rows of the same pass and mask and of the nearest head dims
//                       serve, the fastest kernel at each shape (family "attention": pass, causal,
//                       sequences, query_heads or heads, query_length or length, query_key_dim,
//                       value_dim and time_us or TFLOPS; optional key_heads, key_length, sm, clock,
//                       note). On fewer SMs the time is that of all times a measured slowdown,
//                       linear between SM counts (family "attention_sms": pass, sm, slowdown);
//                       without one, in proportion to the SMs.
//   decode              hardware/decode_time.hpp

#include <map>
#include <optional>
#include <vector>

#include "hardware/attention_tiles.hpp"
#include "hardware/decode_time.hpp"
#include "hardware/kernel_table.hpp"
#include "hardware/operator_time.hpp"

namespace orrery {

class AttentionTimes {
  public:
    explicit AttentionTimes(const AcceleratorProfile& profile);
    std::optional<Estimate> time(const Attention& attention, double sms) const;

    struct FamilyErrors {
        std::string name;  // "forward causal 128/128"
        Provenance from;
        ErrorSummary errors;  // of a shape's time read from the others
    };
    std::vector<FamilyErrors> leave_one_out() const;

  private:
    struct Sample {
        Attention shape;
        double seconds;
        double log_ratio = 0;  // of seconds to what the tiles say
    };
    struct Curve {
        AttentionPass pass;
        bool causal;
        std::int64_t query_key_dim, value_dim;
        Provenance from;
        std::vector<Sample> samples;
        double unit = 0;   // seconds a block of 128 x 128 pairs
        double error = 0;  // mean of a shape's price read from the others
    };
    void read_rows(const DataTable& table);
    Curve* curve_for(const Attention& attention, const Provenance& from);
    const Curve* nearest(const Attention& attention) const;
    double slowdown(AttentionPass pass, double sms) const;
    void add(Curve& curve, const Attention& shape, double seconds) const;
    void settle(Curve& curve) const;
    double price(const Curve& curve, const Attention& a, const Sample* without) const;
    std::vector<double> errors_of(const Curve& curve) const;
    void read_limited(const DataTable& table);

    double all_sms_;
    AttentionTiles tiles_;
    std::vector<Curve> curves_;
    std::map<AttentionPass, std::map<double, double>> limited_;  // SMs -> slowdown
    DecodeTimes decode_;
};

// Throws InputError naming `where`.
AttentionPass parse_attention_pass(const std::string& text, const std::string& where);

}  // namespace orrery
