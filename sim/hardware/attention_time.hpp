#pragma once
// Core attention from published or measured rates.
//
//   forward, backward   t = flops / rate(length) (1 + tail / x), x = 128-row blocks of queries for
//                       each SM: the last blocks leave SMs idle. The time of one row of queries is
//                       linear in the length between measured lengths; tail is the median over
//                       pairs of rows that differ in x only, 0 where there are none. Rows of the
//                       same pass and mask and of the nearest head dims serve, the fastest kernel
//                       at each length (family "attention": pass, causal, sequences, query_heads or
//                       heads, query_length or length, query_key_dim, value_dim and time_us or
//                       TFLOPS; optional key_length, sm, clock, note). With fewer blocks than SMs
//                       it is slower in proportion. On fewer SMs the time is that of all times a
//                       measured slowdown, linear between SM counts (family "attention_sms": pass,
//                       sm, slowdown); without one, in proportion to the SMs.
//   decode              t = max(flops / compute rate, bytes / memory rate) (family
//                       "attention_decode": compute_TFLOPS, memory_GBps)

#include <map>
#include <optional>
#include <vector>

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
        ErrorSummary errors;  // of the rate at a length read from the others
    };
    std::vector<FamilyErrors> leave_one_out() const;

  private:
    struct Sample {
        double rate;    // FLOP/s
        double blocks;  // x, a SM
    };
    struct Curve {
        AttentionPass pass;
        bool causal;
        std::int64_t query_key_dim, value_dim;
        Provenance from;
        std::map<double, std::vector<Sample>> samples;  // length -> rows
        std::map<double, double> rates;                 // length -> FLOP/s of endlessly many blocks
        double error = 0;
    };
    void read_rows(const DataTable& table);
    Curve* curve_for(const Attention& attention, const Provenance& from);
    const Curve* nearest(const Attention& attention) const;
    std::optional<Estimate> decode(const Attention& attention, double sms) const;
    double slowdown(AttentionPass pass, double sms) const;
    double blocks_per_sm(const Attention& attention) const;
    void read_limited(const DataTable& table);
    void settle();

    double all_sms_;
    double copy_bandwidth_;
    std::vector<Curve> curves_;
    std::map<AttentionPass, double> tail_;
    std::map<AttentionPass, std::map<double, double>> limited_;  // SMs -> slowdown
    std::optional<DataTable> decode_;
};

// Throws InputError naming `where`.
AttentionPass parse_attention_pass(const std::string& text, const std::string& where);

}  // namespace orrery
