#pragma once
// Decode attention from measured rows or published rates (family "attention_decode").
//
//   rows    t = m r,  m = f + max(F' / R, B / W)     columns sequences, query_length, key_length,
//           query_heads, key_heads, query_key_dim, value_dim, time_us
//   rates   t = max(F / compute rate, B / memory rate)    columns compute_TFLOPS, memory_GBps
//
// F FLOP, B bytes of the operator; F' counts query rows a key head as the kernel multiplies them,
// in 64s for absorbed MLA (one key head, its first value_dim features the value). f is the shortest
// time among the rows of the same head dims, R their best rate F' / t, W the copy bandwidth. r =
// measured over m is read between the rows in (sequences x key heads, key tokens, query rows a key
// head): a kernel sees nothing else of the shape. On fewer SMs R shrinks in proportion, W below
// saturating_sms.
//
// Of the tables, strongest origin first, the first with rows of the operator's head dims is used,
// or with rates, which stand for absorbed MLA of 576/512; other head dims take the nearest rows of
// their kind, or rates, as derived.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hardware/kernel_table.hpp"
#include "hardware/operator_time.hpp"

namespace orrery {

class DecodeTimes {
  public:
    explicit DecodeTimes(const AcceleratorProfile& profile);
    std::optional<Estimate> time(const Attention& attention, double sms) const;

    struct FamilyErrors {
        std::string name;  // "576/512"
        Provenance from;
        ErrorSummary errors;
    };
    std::vector<FamilyErrors> leave_one_out() const;

  private:
    // Either the rows of one kind and head dims, or a table's rates.
    struct Source {
        Provenance from;
        bool latent = true;
        std::int64_t query_key_dim = 576, value_dim = 512;
        bool rates = false;
        double compute = 0, memory = 0;                  // FLOP/s, B/s; of rows: R and W
        double floor = 0;                                // s
        std::vector<std::pair<Attention, double>> rows;  // shape, s
        KernelTable table;
        double error = 0;
        bool has(const Attention& a) const;
    };
    void read_rows(const DataTable& table);
    void read_rates(const DataTable& table);
    void settle(Source& source) const;
    const Source* source_for(const Attention& attention) const;
    double model(const Source& source, const Attention& attention, double sms) const;

    double all_sms_, saturating_sms_, copy_bandwidth_;
    std::vector<Source> sources_;  // strongest first
};

}  // namespace orrery
