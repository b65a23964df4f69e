#pragma once
// Cuts the tables that a price needs out of measurements. Times stay as they were measured, with
// their count, spread and clock; derived are only these:
//   attention backward   without the helper kernels that are operators of their own (dO.O before,
//                        dQ to BF16 behind), which go to family "memory"
//   attention_sms        time beside communication that holds SMs and moves nothing, over alone
//   contention           median over operators of time beside over alone on the same SMs
//   pace                 deviations and means over several GPUs (calibrate/profile_pace.cpp)
//   gemm_model           constants of the tile model, fitted to the GEMM rows (origin derived)

#include <string>
#include <vector>

#include "calibrate/results.hpp"
#include "core/sourced.hpp"

namespace orrery::calibrate {

struct ProfileTable {
    std::string family;  // of hw_profiles/README.md
    Table table;
    Provenance from;
};

// Every family that the measurements give, but gemm_model.
std::vector<ProfileTable> profile_tables(const Results& results);

// The parts, for tests; each adds what it finds.
void add_gemm_tables(const Results& results, std::vector<ProfileTable>& tables);
void add_memory_tables(const Results& results, std::vector<ProfileTable>& tables);
void add_attention_tables(const Results& results, std::vector<ProfileTable>& tables);
void add_decode_tables(const Results& results, std::vector<ProfileTable>& tables);
void add_load_tables(const Results& results, std::vector<ProfileTable>& tables);
void add_pace_tables(const Results& results, std::vector<ProfileTable>& tables);
// Rows of family "sustained" under continuous decoding: medians over GPUs.
Table decode_mix_rows(const Results& results);

// "my_gpu.measured.json, table gemm: cuBLASLt on ...; CUPTI kernel times, median; note".
Provenance measured_in(const std::vector<const MeasuredTable*>& tables, const std::string& note);
Provenance measured_in(const MeasuredTable& table, const std::string& note);
// Values to 5 significant digits.
double rounded(double value);

}  // namespace orrery::calibrate
