#pragma once
// Decode attention shapes that tables are measured at, all requests of a batch equally long, over
// the domain of calibrate/domains.hpp.

#include <vector>

#include "hardware/operator.hpp"

namespace orrery::calibrate {

// Batches 1, 4 .. 256, contexts 128, 512 .. 131,072 tokens, caches up to 16 GB: absorbed MLA
// (576/512, one key head) with 16 to 128 heads, also two query tokens of 128; GQA (128/128, eight
// query heads a key head) with 1 to 16 key heads, also four query heads each and two query tokens.
std::vector<Attention> decode_grid();
// Spread evenly, one query token.
std::vector<Attention> decode_scatter();
// DeepSeek-V3's 128 heads whole and shared by 4 and 8 ranks, Llama-3-70B's 64/8 and Llama-3-8B's
// 32/8, at batches and contexts that servers see, with one and two query tokens.
std::vector<Attention> decode_model_shapes();

}  // namespace orrery::calibrate
