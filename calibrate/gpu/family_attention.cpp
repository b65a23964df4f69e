#include <algorithm>
#include <array>
#include <deque>
#include <future>

#include <fmt/format.h>

#include "calibrate/attention_shapes.hpp"
#include "calibrate/gpu/check.hpp"
#include "calibrate/gpu/cudnn_attention.hpp"
#include "calibrate/gpu/families.hpp"
#include "core/error.hpp"
#include "kernels/attention_backward.hpp"

// Operands of a call lie in the arena: what it reads and the backward pass' results in the region
// of random BF16 values, o, stats and the workspace in the region of results. o and stats are the
// forward pass' own before a backward series: with foreign ones exp(s - stats) would overflow.

namespace orrery::calibrate {
namespace {

constexpr std::int64_t kRotateBytes = 256ll << 20;
constexpr const char* kOwn = "Orrery";
constexpr std::size_t kPlansAhead = 12;  // built by other threads meanwhile

enum Part { kQ, kK, kV, kDo, kO, kStats, kDq, kDk, kDv, kWorkspace, kParts };

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
    std::array<std::int64_t, kParts> at{};
    std::int64_t read = 0, written = 0;
};

const char* pass_name(const Attention& a) {
    return a.pass == AttentionPass::forward ? "forward" : "backward";
}
std::string describe(const Attention& a) {
    return fmt::format("attention {} {} x {} tokens, {}/{} heads of {}/{}", pass_name(a),
                       a.sequences, a.query_length, a.query_heads, a.key_heads, a.query_key_dim,
                       a.value_dim);
}

using Launch = std::function<void(const std::array<char*, kParts>&, cudaStream_t)>;

// One library's attention of one shape.
struct Candidate {
    std::string library, note;
    Launch forward, backward;
    std::int64_t workspace_bytes = 0;
    int sms = 0;  // 0: all
};

Candidate cudnn_candidate(const Attention& a) {
    const auto plan = std::make_shared<CudnnAttention>(
        AttentionShape{a.sequences, a.query_heads, a.key_heads, a.query_length, a.key_length,
                       a.query_key_dim, a.value_dim, a.causal},
        a.pass == AttentionPass::backward);
    return {cudnn_version(),
            "",
            [plan](const std::array<char*, kParts>& p, cudaStream_t stream) {
                plan->forward(stream, p[kQ], p[kK], p[kV], p[kO], p[kStats], p[kWorkspace]);
            },
            [plan](const std::array<char*, kParts>& p, cudaStream_t stream) {
                plan->backward(stream, p[kQ], p[kK], p[kV], p[kO], p[kDo], p[kStats], p[kDq],
                               p[kDk], p[kDv], p[kWorkspace]);
            },
            plan->workspace_bytes(),
            0};
}

// Our own kernels. A note marks the rows that no price is read from: where cuDNN is found, and on
// fewer SMs.
Candidate own_candidate(const Attention& a, int sms) {
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
    using Pointers = std::array<char*, kParts>;
    const auto bf16 = [](const Pointers& p, Part part) {
        return reinterpret_cast<__nv_bfloat16*>(p[part]);
    };
    const auto stats = [](const Pointers& p) { return reinterpret_cast<float*>(p[kStats]); };
    const Launch forward = [=](const Pointers& p, cudaStream_t stream) {
        ORRERY_CHECK(kernels::attention_forward(bf16(p, kQ), bf16(p, kK), bf16(p, kV), bf16(p, kO),
                                                stats(p), shape, p[kWorkspace], stream));
    };
    const Launch backward = [=](const Pointers& p, cudaStream_t stream) {
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

Subject attention_subject(const Session& s, const Attention& a, const Candidate& c) {
    const Layout layout(a, c.workspace_bytes);
    const Arena& arena = s.device.arena();
    const std::int64_t fit =
        std::min(arena.bf16.bytes() / layout.read, arena.out.bytes() / layout.written);
    if (fit < 1) throw InputError(describe(a) + ": does not fit the device's memory");
    const int sets = int(std::min(fit, 1 + kRotateBytes / (layout.read + layout.written)));
    const auto operands = [layout, &arena](int set) {
        std::array<char*, kParts> p{};
        for (int i = 0; i < kParts; ++i) {
            const bool read = i < kO;
            p[std::size_t(i)] = (read ? arena.bf16 : arena.out).as<char>() +
                                layout.at[std::size_t(i)] +
                                set * (read ? layout.read : layout.written);
        }
        return p;
    };
    const bool backward = a.pass == AttentionPass::backward;
    if (backward)
        for (int set = 0; set < sets; ++set) c.forward(operands(set), s.device.stream());
    return {describe(a) + ", " + c.library, sets,
            [operands, launch = backward ? c.backward : c.forward](int set, cudaStream_t stream) {
                launch(operands(set), stream);
            }};
}

Row row_key(const Session& s, const Attention& a, const std::string& library,
            const std::string& note, int sms) {
    return {library,
            std::string(pass_name(a)),
            double(a.sequences),
            double(a.query_length),
            double(a.key_length),
            double(a.query_heads),
            double(a.key_heads),
            double(a.query_key_dim),
            double(a.value_dim),
            double(a.causal),
            double(sms ? sms : s.device.info().sms),
            std::string("burst"),
            note};
}

// Mangled names run to 200 characters: their heads tell the kernels apart.
std::string short_name(const std::string& kernel) { return kernel.substr(0, 96); }

// One row a call in table `name`, one a kernel of it in "attention_kernels".
void measure_candidate(const Session& s, const Attention& a, const Candidate& c,
                       const std::string& name) {
    const Table calls{name,
                      {"library",
                       "pass",
                       "sequences",
                       "query_length",
                       "key_length",
                       "query_heads",
                       "key_heads",
                       "query_key_dim",
                       "value_dim",
                       "causal",
                       "sm",
                       "clock",
                       "note",
                       "time_us",
                       "tflops",
                       "n_samples",
                       "spread",
                       "clock_MHz",
                       "throttled_dropped",
                       "event_us",
                       "kernels_per_call",
                       "main_kernel",
                       "main_kernel_us",
                       "ctas"},
                      13,
                      {}};
    const Table kernels{
        name + "_kernels",
        {"library", "pass", "sequences", "query_length", "query_heads", "key_heads",
         "query_key_dim", "value_dim", "sm", "note", "position", "kernel", "time_us"},
        11,
        {}};
    Row row = row_key(s, a, c.library, c.note, c.sms);
    if (s.journal.has(name, row)) return;
    const Series r = s.bench.burst(attention_subject(s, a, c), s.rule);
    for (std::size_t i = 0; i < r.kernels.size(); ++i) {
        const Row part{c.library,
                       std::string(pass_name(a)),
                       double(a.sequences),
                       double(a.query_length),
                       double(a.query_heads),
                       double(a.key_heads),
                       double(a.query_key_dim),
                       double(a.value_dim),
                       row[10],  // sm
                       c.note,
                       double(i),
                       short_name(r.kernels[i].name),
                       r.kernels[i].time_us};
        if (!s.journal.has(kernels.name, part)) s.journal.add(kernels, part);
    }
    const auto main = std::max_element(
        r.kernels.begin(), r.kernels.end(),
        [](const CallKernel& x, const CallKernel& y) { return x.time_us < y.time_us; });
    const double tflops = flops(Operator{"", a}).value() / r.time_us.median * 1e-6;
    row.insert(row.end(),
               {r.time_us.median, tflops, double(r.time_us.n), r.time_us.spread, r.clock_mhz,
                double(r.dropped), r.event_us.median, double(r.kernels.size()),
                short_name(r.kernel), main->time_us, double(r.ctas)});
    s.journal.add(calls, row);
    s.progress(fmt::format("{}, {}: {:.1f} us, {:.0f} TFLOP/s, {:.0f} MHz", describe(a), c.library,
                           r.time_us.median, tflops, r.clock_mhz));
}

void measure_cudnn(const Session& s, const std::vector<Attention>& cases, const std::string& name) {
    std::vector<Attention>
        left;  // cuDNN compiles kernels for each shape: only those to be measured
    for (const Attention& a : cases)
        if (!s.journal.has(name, row_key(s, a, cudnn_version(), "", 0))) left.push_back(a);
    int device = 0;
    ORRERY_CHECK(cudaGetDevice(&device));
    std::deque<std::future<Candidate>> ahead;
    std::size_t next = 0;
    for (const Attention& a : left) {
        for (; next < left.size() && ahead.size() < kPlansAhead; ++next)
            ahead.push_back(std::async(std::launch::async, [device, b = left[next]] {
                ORRERY_CHECK(cudaSetDevice(device));
                return cudnn_candidate(b);
            }));
        const Candidate c = ahead.front().get();
        ahead.pop_front();
        measure_candidate(s, a, c, name);
    }
}

// Where our own kernels are measured beside cuDNN's: one sequence of 128 heads, or of grouped ones.
bool is_compared(const Attention& a) {
    return a.sequences == 1 && (a.query_heads == 128 || a.key_heads < a.query_heads);
}

}  // namespace

void measure_attention_cases(const Session& s, const std::vector<Attention>& cases,
                             const std::string& name) {
    if (!cudnn_version().empty()) measure_cudnn(s, cases, name);
    for (const Attention& a : cases)
        if (cudnn_version().empty() || is_compared(a))
            measure_candidate(s, a, own_candidate(a, 0), name);
}

void measure_attention(const Session& s) {
    for (const AttentionPass pass : {AttentionPass::forward, AttentionPass::backward})
        measure_attention_cases(s, attention_grid(pass), "attention");
    // On fewer SMs, which cuDNN's kernels do not offer.
    Attention a;
    a.sequences = 1;
    a.query_length = a.key_length = 4096;
    a.query_heads = a.key_heads = 128;
    a.value_dim = 128;
    for (const std::int64_t dim : {192, 128})
        for (const int sms : {124, 116, 112, 108, 96, 64}) {
            a.query_key_dim = dim;
            measure_candidate(s, a, own_candidate(a, sms), "attention");
        }
}

}  // namespace orrery::calibrate
