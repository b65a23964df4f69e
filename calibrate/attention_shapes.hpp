#pragma once
// Training and prefill attention that a calibration measures, forward and backward.
//
// Lengths 256 .. 16,384 by octaves, 8 .. 128 query heads by octaves, one sequence; 2 .. 8 sequences
// of 128 heads; each with DeepSeek-V3's head dims (192 features of query and key, 128 of the value)
// and with 128/128, a key head for each query head; prefill with 64 and 32 query heads over 8 key
// heads; and shapes spread evenly over the domain of calibrate/domains.hpp. Left out: more than 3
// TFLOP forward or 4 GB of operands, but for DeepSeek-V3's heads at 16,384 tokens.

#include <vector>

#include "hardware/operator.hpp"

namespace orrery::calibrate {

std::vector<Attention> attention_grid(AttentionPass pass);

}  // namespace orrery::calibrate
