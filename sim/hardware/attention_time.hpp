#pragma once
// Core attention from published or measured rates.
//
//   forward, backward   t = flops / rate(length); the time of one row of queries is linear in the
//                       length between measured lengths. Rows of the same pass and mask and of the
//                       nearest head dims serve, the fastest kernel at each length (family
//                       "attention": pass, causal, sequences, query_heads or heads, query_length
//                       or length, query_key_dim, value_dim and time_us or TFLOPS; optional
//                       key_length, sm, clock, note). A grid of fewer than one 128-row block a SM
//                       is slower in proportion, fewer SMs likewise.
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
    struct Curve {
        AttentionPass pass;
        bool causal;
        std::int64_t query_key_dim, value_dim;
        Provenance from;
        std::map<double, double> rates;  // length -> FLOP/s
        double error = 0;
    };
    void read_rows(const DataTable& table);
    Curve* curve_for(const Attention& attention, const Provenance& from);
    const Curve* nearest(const Attention& attention) const;
    std::optional<Estimate> decode(const Attention& attention, double sms) const;

    double all_sms_;
    double copy_bandwidth_;
    std::vector<Curve> curves_;
    std::optional<DataTable> decode_;
};

// Throws InputError naming `where`.
AttentionPass parse_attention_pass(const std::string& text, const std::string& where);

}  // namespace orrery
