#pragma once
// Expert dispatch and combine among GPUs of one node over NVLink peer access, by a set number of
// SMs (operators expert_dispatch, expert_combine of a group inside a node).
//
//   layout    every rank counts the tokens it has for each rank; the counts go to all; a token's
//             slot at a rank that holds one of its experts is
//               slot[t, d] = sum over s < rank of count[s, d] + tokens before t for d, else -1
//   dispatch  rows[d][slot[t, d]] = x[t] for every d with slot >= 0: once a rank, not once an
//   expert combine   y[t] = sum over d of out[d][slot[t, d]], FP32 sums; the rank that computed the
//   experts
//             has weighted and summed its rows of the token before
//
// Peers are plain pointers: any GPUs with peer access, or buffers of one GPU, each rank on a stream
// of its own. Every kernel begins with a barrier of all ranks (buffers are free, inputs ready) and
// ends when its peers are done (rows have arrived, or have been read). All ranks must queue the
// same calls in the same order with the same number of CTAs. A barrier that takes longer than 2 s
// sets *failed and ends the kernel.

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace orrery::kernels {

constexpr int kMostExpertRanks = 8;
constexpr int kExpertsPerToken = 8;
constexpr int kExpertFlags = 3 * kMostExpertRanks;  // words of `flags`, zero before the first call

// What one rank knows. Index [p]: rank p's memory; all of it is readable and writable from here.
struct ExpertRank {
    int rank = 0, ranks = 1;
    std::int64_t tokens = 0;                     // of this rank
    std::int32_t* slots = nullptr;               // own: [tokens, ranks]
    int* failed = nullptr;                       // own, zero before
    std::int32_t* counts[kMostExpertRanks];      // [source, destination]: the same on every rank
    std::uint32_t* flags[kMostExpertRanks];      // [kExpertFlags]
    void* rows[kMostExpertRanks];                // receive buffers [capacity, row_bytes]
    float* scales[kMostExpertRanks];             // [capacity, scales a row]; FP8 only
    std::int32_t* experts[kMostExpertRanks];     // [capacity, 8]: as the sender chose them
    float* weights[kMostExpertRanks];            // [capacity, 8]
    const __nv_bfloat16* out[kMostExpertRanks];  // [capacity, hidden]: partial sums for combine
    // Arrivals so far; the launchers count them up.
    std::uint32_t counted = 0, started = 0, ended = 0;
};

// Loads the kernels on the current GPU. CUDA otherwise loads each at its first launch and may wait
// for running kernels to do so: for a rank whose barrier waits for that launch.
cudaError_t load_expert_kernels();

// Fills slots and counts. experts: [tokens, 8], experts 0 .. experts_per_rank - 1 lie on rank 0 ...
cudaError_t expert_layout(ExpertRank& rank, const std::int32_t* experts, int experts_per_rank,
                          cudaStream_t stream);

struct ExpertTokens {
    const void* x = nullptr;        // [tokens, row_bytes]
    const float* scales = nullptr;  // [tokens, scales_per_row] or none
    const std::int32_t* experts = nullptr;
    const float* weights = nullptr;
    std::int64_t row_bytes = 0;  // a multiple of 16
    int scales_per_row = 0;      // a multiple of 4, at most 64; 0 for BF16
};

// `ctas` CTAs, in clusters of two where even. Each sends row_bytes + 4 scales_per_row + 64 a row.
cudaError_t expert_dispatch(ExpertRank& rank, const ExpertTokens& tokens, int ctas,
                            cudaStream_t stream);
// y: [tokens, hidden], hidden a multiple of 8.
cudaError_t expert_combine(ExpertRank& rank, __nv_bfloat16* y, std::int64_t hidden, int ctas,
                           cudaStream_t stream);

}  // namespace orrery::kernels
