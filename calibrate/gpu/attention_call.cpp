#include "calibrate/gpu/attention_call.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "calibrate/gpu/check.hpp"
#include "calibrate/gpu/cudnn_attention.hpp"
#include "core/error.hpp"
#include "kernels/attention_backward.hpp"

namespace orrery::calibrate {
namespace {

constexpr std::int64_t kRotateBytes = 256ll << 20;
constexpr const char* kOwn = "Orrery";

// Byte offsets of one operand set in its two regions.
struct Layout {
    Layout(const Attention& a, std::int64_t workspace_bytes) {
        const std::int64_t queries = a.sequences * a.query_length * a.query_heads;
        const std::int64_t keys = a.sequences * a.key_length * a.key_heads;
        const bool backward = a.pass == AttentionPass::backward;
        const auto put = [](std::int64_t& end, std::int64_t bytes) {
            return std::exchange(end, end + (bytes + 1023) / 1024 * 1024);
        };
        at[kQ] = put(read, queries * a.query_key_dim * 2);
        at[kK] = put(read, keys * a.query_key_dim * 2);
        at[kV] = put(read, keys * a.value_dim * 2);
        at[kO] = put(written, queries * a.value_dim * 2);
        at[kStats] = put(written, queries * 4);
        if (backward) {
            at[kDo] = put(read, queries * a.value_dim * 2);
            at[kDq] = put(written, queries * a.query_key_dim * 2);
            at[kDk] = put(written, keys * a.query_key_dim * 2);
            at[kDv] = put(written, keys * a.value_dim * 2);
        }
        at[kWorkspace] = put(written, workspace_bytes);
    }
    std::array<std::int64_t, kAttentionParts> at{};
    std::int64_t read = 0, written = 0;
};

// Operand sets that rotate, in the arena.
struct Operands {
    Operands(const Session& s, const Attention& a, const AttentionCall& c)
        : layout(a, c.workspace_bytes), arena(s.device.arena()) {
        const std::int64_t fit =
            std::min(arena.bf16.bytes() / layout.read, arena.out.bytes() / layout.written);
        if (fit < 1) throw InputError(attention_text(a) + ": does not fit the device's memory");
        sets = int(std::min(fit, 1 + kRotateBytes / (layout.read + layout.written)));
    }
    AttentionPointers at(int set) const {
        AttentionPointers p{};
        for (std::size_t i = 0; i < p.size(); ++i) {
            const bool read = i < kO;
            p[i] = (read ? arena.bf16 : arena.out).as<char>() + layout.at[i] +
                   set * (read ? layout.read : layout.written);
        }
        return p;
    }
    Subject subject(const std::string& name, const AttentionCall::Launch& launch) const {
        return {name, sets, [operands = *this, launch](int set, cudaStream_t stream) {
                    launch(operands.at(set), stream);
                }};
    }
    Layout layout;
    const Arena& arena;
    int sets = 1;
};

}  // namespace

AttentionCall cudnn_attention_call(const Attention& a) {
    const auto plan = std::make_shared<CudnnAttention>(
        AttentionShape{a.sequences, a.query_heads, a.key_heads, a.query_length, a.key_length,
                       a.query_key_dim, a.value_dim, a.causal},
        a.pass == AttentionPass::backward);
    return {cudnn_version(),
            "",
            [plan](const AttentionPointers& p, cudaStream_t stream) {
                plan->forward(stream, p[kQ], p[kK], p[kV], p[kO], p[kStats], p[kWorkspace]);
            },
            [plan](const AttentionPointers& p, cudaStream_t stream) {
                plan->backward(stream, p[kQ], p[kK], p[kV], p[kO], p[kDo], p[kStats], p[kDq],
                               p[kDk], p[kDv], p[kWorkspace]);
            },
            plan->workspace_bytes(),
            0};
}

AttentionCall own_attention_call(const Attention& a, int sms) {
    const kernels::AttentionForwardShape shape{a.sequences,
                                               a.query_heads,
                                               a.key_heads,
                                               a.query_length,
                                               a.key_length,
                                               a.query_key_dim,
                                               a.value_dim,
                                               a.causal,
                                               0,
                                               sms};
    const auto bf16 = [](const AttentionPointers& p, AttentionPart part) {
        return reinterpret_cast<__nv_bfloat16*>(p[part]);
    };
    const auto stats = [](const AttentionPointers& p) {
        return reinterpret_cast<float*>(p[kStats]);
    };
    const AttentionCall::Launch forward = [=](const AttentionPointers& p, cudaStream_t stream) {
        ORRERY_CHECK(kernels::attention_forward(bf16(p, kQ), bf16(p, kK), bf16(p, kV), bf16(p, kO),
                                                stats(p), shape, p[kWorkspace], stream));
    };
    const AttentionCall::Launch backward = [=](const AttentionPointers& p, cudaStream_t stream) {
        ORRERY_CHECK(kernels::attention_backward(bf16(p, kQ), bf16(p, kK), bf16(p, kV), bf16(p, kO),
                                                 bf16(p, kDo), stats(p), bf16(p, kDq), bf16(p, kDk),
                                                 bf16(p, kDv), shape, p[kWorkspace], stream));
    };
    return {
        kOwn,
        cudnn_version().empty() ? "" : "beside cuDNN",
        forward,
        backward,
        std::max(kernels::kAttentionForwardWorkspace, kernels::attention_backward_workspace(shape)),
        sms};
}

AttentionCall attention_call(const Attention& a) {
    return cudnn_version().empty() ? own_attention_call(a, 0) : cudnn_attention_call(a);
}

AttentionPasses attention_passes(const Session& s, Attention a) {
    a.pass = AttentionPass::backward;
    const AttentionCall call = attention_call(a);
    const Operands operands(s, a, call);
    Attention forward = a;
    forward.pass = AttentionPass::forward;
    return {operands.subject(attention_text(forward), call.forward),
            operands.subject(attention_text(a), call.backward)};
}

Subject attention_subject(const Session& s, const Attention& a, const AttentionCall& c) {
    const Operands operands(s, a, c);
    const bool backward = a.pass == AttentionPass::backward;
    if (backward)
        for (int set = 0; set < operands.sets; ++set)
            c.forward(operands.at(set), s.device.stream());
    return operands.subject(attention_text(a) + ", " + c.library,
                            backward ? c.backward : c.forward);
}

const char* attention_pass_name(const Attention& a) {
    return a.pass == AttentionPass::forward ? "forward" : "backward";
}

std::string attention_text(const Attention& a) {
    return fmt::format("attention {} {} x {} tokens, {}/{} heads of {}/{}", attention_pass_name(a),
                       a.sequences, a.query_length, a.query_heads, a.key_heads, a.query_key_dim,
                       a.value_dim);
}

Attention one_sequence(AttentionPass pass, std::int64_t tokens, std::int64_t heads) {
    Attention a;
    a.pass = pass;
    a.sequences = 1;
    a.query_length = a.key_length = tokens;
    a.query_heads = a.key_heads = heads;
    a.query_key_dim = 192;
    a.value_dim = 128;
    return a;
}

}  // namespace orrery::calibrate
