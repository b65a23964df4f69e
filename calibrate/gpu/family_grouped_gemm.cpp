#include <algorithm>

#include <fmt/format.h>

#include "calibrate/gpu/check.hpp"
#include "calibrate/gpu/families.hpp"
#include "core/error.hpp"
#include "hardware/grouped_gemm_time.hpp"
#include "kernels/grouped_gemm.hpp"

namespace orrery::calibrate {
namespace {

constexpr std::int64_t kRotateBytes = 256ll << 20;

std::vector<GroupedCase> grouped_cases() {
    using enum GroupLayout;
    std::vector<GroupedCase> cases;
    // DeepSeek-V3's experts at 32,768 rows a rank: forward and input gradients of both matrices.
    for (const int sms : {0, 112})
        for (const std::int64_t groups : {4, 8})
            for (const auto& [n, k] :
                 {std::pair{4096, 7168}, {7168, 2048}, {2048, 7168}, {7168, 4096}})
                cases.push_back({contiguous, groups, 32768 / groups, n, k, sms});
    for (const std::int64_t rows : {128, 256, 512, 1024, 2048})
        for (const auto& [n, k] : {std::pair{4096, 7168}, {7168, 2048}})
            cases.push_back({contiguous, 8, rows, n, k});
    for (const auto& [groups, rows] :
         {std::pair{1, 1024}, {2, 512}, {4, 256}, {8, 128}, {16, 64}, {32, 32}, {32, 8}})
        for (const auto& [n, k] : {std::pair{4096, 7168}, {7168, 2048}})
            cases.push_back({masked, groups, rows, n, k});
    for (const int sms : {0, 112})
        for (const auto& [n, k] : {std::pair{4096, 7168}, {7168, 2048}})
            cases.push_back({k_grouped, 4, 8192, n, k, sms});
    return cases;
}

// Bytes of one operand set: x (or a), w (or b), their scales, the result, each once.
struct Bytes {
    std::int64_t x, w, x_scales, w_scales, y;
    std::int64_t least() const { return x + w + x_scales + w_scales + y; }
};
std::int64_t capacity(const GroupedCase& c) { return (c.rows_per_group + 127) / 128 * 128; }
Bytes bytes_of(const GroupedCase& c) {
    const std::int64_t rows = c.groups * c.rows_per_group;
    if (c.layout == GroupLayout::k_grouped)
        return {rows * c.n, rows * c.k, rows / 128 * c.n * 4, rows / 128 * c.k * 4,
                c.groups * c.n * c.k * 8};  // read and written
    const std::int64_t scale_stride = (c.k / 128 + 3) / 4 * 4;
    return {rows * c.k, c.groups * c.n * c.k, rows * c.k / 128 * 4,
            c.groups * c.n / 128 * scale_stride * 4, rows * c.n * 2};
}

std::shared_ptr<Buffer> group_sizes(const GroupedCase& c) {
    std::vector<std::int32_t> v;
    for (std::int64_t g = 0; g <= c.groups; ++g)
        v.push_back(std::int32_t(c.layout == GroupLayout::masked ? c.rows_per_group
                                                                 : g * c.rows_per_group));
    auto buffer = std::make_shared<Buffer>(std::int64_t(v.size()) * 4);
    ORRERY_CHECK(cudaMemcpy(buffer->as<void>(), v.data(), v.size() * 4, cudaMemcpyHostToDevice));
    return buffer;
}

struct Operands {
    const std::uint8_t *x, *w;
    const float *x_scales, *w_scales;
    void* y;
    const std::int32_t* sizes;
};
cudaError_t launch(const GroupedCase& c, const Operands& o, cudaStream_t stream) {
    using namespace orrery::kernels;
    const GroupedTiling tiling{int(c.sms), 0, 0};
    const GroupedGemmShape shape{int(c.groups), c.n, c.k};
    switch (c.layout) {
        case GroupLayout::contiguous:
            return grouped_gemm_contiguous(o.x, o.x_scales, o.w, o.w_scales,
                                           static_cast<__nv_bfloat16*>(o.y), o.sizes,
                                           c.groups * c.rows_per_group, shape, tiling, stream);
        case GroupLayout::masked:
            return grouped_gemm_masked(o.x, o.x_scales, o.w, o.w_scales,
                                       static_cast<__nv_bfloat16*>(o.y), o.sizes, capacity(c),
                                       shape, tiling, stream);
        case GroupLayout::k_grouped:
            return grouped_gemm_k_grouped(
                o.x, o.x_scales, o.w, o.w_scales, static_cast<float*>(o.y), o.sizes, c.n, true,
                {int(c.groups), c.k, c.groups * c.rows_per_group}, tiling, stream);
    }
    return cudaErrorInvalidValue;
}

std::string describe(const GroupedCase& c) {
    return fmt::format("{} {} x {} x {} x {}{}", to_string(c.layout), c.groups, c.rows_per_group,
                       c.n, c.k, c.sms ? fmt::format(" on {} SMs", c.sms) : "");
}

}  // namespace

Subject grouped_subject(const Device& device, const GroupedCase& c) {
    GroupedCase stored = c;  // masked groups lie `capacity` rows apart
    if (c.layout == GroupLayout::masked) stored.rows_per_group = capacity(c);
    const Bytes b = bytes_of(stored);
    const auto aligned = [](std::int64_t v) { return (v + 1023) / 1024 * 1024; };
    const std::int64_t x = aligned(b.x), q = x + aligned(b.w), xs = aligned(b.x_scales),
                       scales = xs + aligned(b.w_scales), y = aligned(b.y);
    const Arena& arena = device.arena();
    const std::int64_t fit = std::min({arena.e4m3.bytes() / q, arena.scales.bytes() / scales,
                                       arena.out.bytes() / y, std::int64_t(16)});
    if (fit < 1) throw InputError(describe(c) + ": does not fit the device's memory");
    const auto sizes = group_sizes(c);
    return {describe(c), int(std::min(fit, 1 + kRotateBytes / (q + y))),
            [=, &arena](int set, cudaStream_t stream) {
                const std::uint8_t* operands = arena.e4m3.as<std::uint8_t>() + set * q;
                const char* s = arena.scales.as<char>() + set * scales;
                ORRERY_CHECK(launch(c,
                                    {operands, operands + x, reinterpret_cast<const float*>(s),
                                     reinterpret_cast<const float*>(s + xs),
                                     arena.out.as<char>() + set * y, sizes->as<std::int32_t>()},
                                    stream));
            }};
}

void measure_grouped_case(const Session& s, const GroupedCase& c, const std::string& name) {
    const Table table{name,
                      {"layout", "precision", "groups", "rows_per_group", "n", "k", "sm", "clock",
                       "time_us", "tflops", "least_bytes", "n_samples", "spread", "clock_MHz",
                       "throttled_dropped", "event_us", "kernels_per_call", "ctas"},
                      8,
                      {}};
    Row row{std::string(to_string(c.layout)),
            std::string("fp8_block"),
            double(c.groups),
            double(c.rows_per_group),
            double(c.n),
            double(c.k),
            double(c.sms ? c.sms : s.device.info().sms),
            std::string("burst")};
    if (s.journal.has(table.name, row)) return;
    const Series r = s.bench.burst(grouped_subject(s.device, c), s.rule);
    const double flops =
        2.0 * double(c.groups) * double(c.rows_per_group) * double(c.n) * double(c.k);
    row.insert(row.end(),
               {r.time_us.median, flops / r.time_us.median * 1e-6, double(bytes_of(c).least()),
                double(r.time_us.n), r.time_us.spread, r.clock_mhz, double(r.dropped),
                r.event_us.median, r.kernels_per_call, double(r.ctas)});
    s.journal.add(table, row);
    s.progress(fmt::format("{}: {:.1f} us, {:.0f} TFLOP/s, {:.0f} MHz", describe(c),
                           r.time_us.median, flops / r.time_us.median * 1e-6, r.clock_mhz));
}

void measure_grouped_gemm(const Session& s) {
    for (const GroupedCase& c : grouped_cases()) measure_grouped_case(s, c, "grouped_gemm");
}

}  // namespace orrery::calibrate
