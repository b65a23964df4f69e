#include <algorithm>
#include <deque>
#include <future>

#include <fmt/format.h>

#include "calibrate/attention_shapes.hpp"
#include "calibrate/gpu/attention_call.hpp"
#include "calibrate/gpu/check.hpp"
#include "calibrate/gpu/cudnn_attention.hpp"
#include "calibrate/gpu/families.hpp"

namespace orrery::calibrate {
namespace {

constexpr std::size_t kPlansAhead = 12;  // built by other threads meanwhile

Row row_key(const Session& s, const Attention& a, const std::string& library,
            const std::string& note, int sms) {
    return {library,
            std::string(attention_pass_name(a)),
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
void measure_call(const Session& s, const Attention& a, const AttentionCall& c,
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
                       std::string(attention_pass_name(a)),
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
    s.progress(fmt::format("{}, {}: {:.1f} us, {:.0f} TFLOP/s, {:.0f} MHz", attention_text(a),
                           c.library, r.time_us.median, tflops, r.clock_mhz));
}

void measure_cudnn(const Session& s, const std::vector<Attention>& cases, const std::string& name) {
    std::vector<Attention>
        left;  // cuDNN compiles kernels for each shape: only those to be measured
    for (const Attention& a : cases)
        if (!s.journal.has(name, row_key(s, a, cudnn_version(), "", 0))) left.push_back(a);
    int device = 0;
    ORRERY_CHECK(cudaGetDevice(&device));
    std::deque<std::future<AttentionCall>> ahead;
    std::size_t next = 0;
    for (const Attention& a : left) {
        for (; next < left.size() && ahead.size() < kPlansAhead; ++next)
            ahead.push_back(std::async(std::launch::async, [device, b = left[next]] {
                ORRERY_CHECK(cudaSetDevice(device));
                return cudnn_attention_call(b);
            }));
        const AttentionCall c = ahead.front().get();
        ahead.pop_front();
        measure_call(s, a, c, name);
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
            measure_call(s, a, own_attention_call(a, 0), name);
}

void measure_attention(const Session& s) {
    for (const AttentionPass pass : {AttentionPass::forward, AttentionPass::backward})
        measure_attention_cases(s, attention_grid(pass), "attention");
    // On fewer SMs, which cuDNN's kernels do not offer.
    Attention a = one_sequence(AttentionPass::forward, 4096, 128);
    for (const std::int64_t dim : {192, 128})
        for (const int sms : {124, 116, 112, 108, 96, 64}) {
            a.query_key_dim = dim;
            measure_call(s, a, own_attention_call(a, sms), "attention");
        }
}

}  // namespace orrery::calibrate
