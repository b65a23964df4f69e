#pragma once
// One library's attention as something to time. Operands of a call lie in the arena: what it reads
// in the region of random BF16 values, what it writes, o, stats and the workspace in the region of
// results. A backward pass needs o and stats of its own forward pass: with foreign ones
// exp(s - stats) would overflow.

#include <array>
#include <functional>
#include <string>

#include "calibrate/gpu/families.hpp"
#include "hardware/operator.hpp"

namespace orrery::calibrate {

enum AttentionPart { kQ, kK, kV, kDo, kO, kStats, kDq, kDk, kDv, kWorkspace, kAttentionParts };
using AttentionPointers = std::array<char*, kAttentionParts>;

struct AttentionCall {
    using Launch = std::function<void(const AttentionPointers&, cudaStream_t)>;
    std::string library, note;
    Launch forward, backward;
    std::int64_t workspace_bytes = 0;
    int sms = 0;  // 0: all
};

// Throws InputError where cuDNN is missing or refuses. May be built by any thread (0.3 s).
AttentionCall cudnn_attention_call(const Attention& a);
// Our own kernels. A note marks the rows that no price is read from: where cuDNN is found, and on
// fewer SMs.
AttentionCall own_attention_call(const Attention& a, int sms);
// cuDNN's where it is found, else our own on all SMs.
AttentionCall attention_call(const Attention& a);

// The pass that `a` names. Of a backward pass the forward one is run now, on every operand set:
// valid until something else writes results.
Subject attention_subject(const Session& session, const Attention& a, const AttentionCall& call);
// Both passes of `a` on the same operands, to be run in turn.
struct AttentionPasses {
    Subject forward, backward;
};
AttentionPasses attention_passes(const Session& session, Attention a);

const char* attention_pass_name(const Attention& a);  // "forward", "backward"
std::string attention_text(const Attention& a);       // shape, for progress

// One causal sequence, `heads` heads of 192/128 features: a layer of DeepSeek-V3 at 128 heads.
Attention one_sequence(AttentionPass pass, std::int64_t tokens, std::int64_t heads);

}  // namespace orrery::calibrate
