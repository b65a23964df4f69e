#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include <fmt/format.h>

#include "calibrate/decode_shapes.hpp"
#include "calibrate/gpu/check.hpp"
#include "calibrate/gpu/families.hpp"
#include "core/error.hpp"
#include "kernels/attention_decode.hpp"

namespace orrery::calibrate {
namespace {

constexpr std::int64_t kRotateBytes = 256ll << 20, kMostSets = 4096, kBlock = 64;

bool latent(const Attention& a) { return a.key_heads == 1 && a.query_key_dim > a.value_dim; }

std::string describe(const Attention& a) {
    return fmt::format("decode {} {} x {} tokens of {} keys, {}/{} heads",
                       latent(a) ? "MLA" : "GQA", a.sequences, a.query_length, a.key_length,
                       a.query_heads, a.key_heads);
}

std::shared_ptr<Buffer> to_device(const std::vector<std::int32_t>& v) {
    auto buffer = std::make_shared<Buffer>(std::int64_t(v.size()) * 4);
    ORRERY_CHECK(cudaMemcpy(buffer->as<void>(), v.data(), v.size() * 4, cudaMemcpyHostToDevice));
    return buffer;
}

}  // namespace

// Caches of all sets lie in one region, every set's blocks anywhere in it. Where the region is
// smaller than the caches, blocks serve twice; it is far larger than L2.
Subject decode_subject(const Device& device, const Attention& a) {
    const Arena& arena = device.arena();
    const auto aligned = [](std::int64_t v) { return (v + 1023) / 1024 * 1024; };
    const std::int64_t tiles = (a.key_length + kBlock - 1) / kBlock, table = tiles * a.sequences;
    const std::int64_t key_block = kBlock * a.key_heads * a.query_key_dim * 2,
                       block = key_block + (latent(a) ? 0 : kBlock * a.key_heads * a.value_dim * 2);
    const std::int64_t rows = a.sequences * a.query_length * a.query_heads;
    const std::int64_t q_bytes = aligned(rows * a.query_key_dim * 2),
                       out_bytes = aligned(rows * a.value_dim * 2);
    const std::int64_t sets =
        std::min({1 + kRotateBytes / (table * block), kMostSets, (arena.bf16.bytes() / 4) / q_bytes,
                  arena.out.bytes() / out_bytes});
    const std::int64_t blocks =
        std::min(table * sets, (arena.bf16.bytes() - sets * q_bytes - 1024) / block);
    if (sets < 1 || (blocks < table * sets && blocks * block < kRotateBytes))
        throw InputError(describe(a) + ": does not fit the device's memory");
    std::vector<std::int32_t> order(std::size_t(table * sets));
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = std::int32_t(std::int64_t(i) % blocks);
    std::shuffle(order.begin(), order.end(), std::mt19937(1));
    const auto tables = to_device(order);
    const auto lengths =
        to_device(std::vector<std::int32_t>(std::size_t(a.sequences), std::int32_t(a.key_length)));
    const double width = latent(a) ? 192 : double(a.query_key_dim);  // DeepSeek's unabsorbed heads
    const kernels::DecodeShape shape{
        int(a.sequences), int(a.query_length), int(a.query_heads),          int(a.key_heads),
        blocks,           int(tiles),          float(1 / std::sqrt(width)), 0};
    const auto work = std::make_shared<Buffer>(std::int64_t(
        latent(a) ? kernels::mla_decode_workspace(shape) : kernels::gqa_decode_workspace(shape)));
    return {describe(a), int(sets), [=, &arena](int set, cudaStream_t stream) {
                const char* region = arena.bf16.as<char>();
                const auto* keys = reinterpret_cast<const __nv_bfloat16*>(region);
                const auto* values =
                    reinterpret_cast<const __nv_bfloat16*>(region + blocks * key_block);
                const auto* q = reinterpret_cast<const __nv_bfloat16*>(
                    region + aligned(blocks * block) + set * q_bytes);
                auto* out =
                    reinterpret_cast<__nv_bfloat16*>(arena.out.as<char>() + set * out_bytes);
                const kernels::PagedKeys paged{tables->as<std::int32_t>() + set * table,
                                               lengths->as<std::int32_t>()};
                ORRERY_CHECK(latent(a) ? kernels::mla_decode(q, keys, paged, out, nullptr,
                                                             work->as<void>(), shape, stream)
                                       : kernels::gqa_decode(q, keys, values, paged, out, nullptr,
                                                             work->as<void>(), shape, stream));
            }};
}

namespace {

void measure_case(const Session& s, const Attention& a, const std::string& name) {
    const Table table{
        name,
        {"sequences", "query_length", "key_length", "query_heads", "key_heads", "query_key_dim",
         "value_dim", "clock", "time_us", "tflops", "GBps", "n_samples", "spread", "clock_MHz",
         "throttled_dropped", "event_us", "kernels_per_call"},
        8,
        {}};
    Row row{double(a.sequences),   double(a.query_length), double(a.key_length),
            double(a.query_heads), double(a.key_heads),    double(a.query_key_dim),
            double(a.value_dim),   std::string("burst")};
    if (s.journal.has(name, row)) return;
    const Series r = s.bench.burst(decode_subject(s.device, a), s.rule);
    const Operator op{"", a};
    const double us = r.time_us.median, tflops = flops(op).value() / us * 1e-6,
                 gbps = bytes(op).value() / us * 1e-3;
    row.insert(row.end(), {us, tflops, gbps, double(r.time_us.n), r.time_us.spread, r.clock_mhz,
                           double(r.dropped), r.event_us.median, r.kernels_per_call});
    s.journal.add(table, row);
    s.progress(fmt::format("{}: {:.1f} us, {:.0f} TFLOP/s, {:.0f} GB/s, {:.0f} MHz", describe(a),
                           us, tflops, gbps, r.clock_mhz));
}

}  // namespace

void measure_decode_cases(const Session& s, const std::vector<Attention>& cases,
                          const std::string& name) {
    for (const Attention& a : cases) measure_case(s, a, name);
}

void measure_attention_decode(const Session& session) {
    Session s = session;
    // Waiting for the clock to come back is most of a long series at the power limit.
    s.rule.seconds = 0.12;
    s.rule.at_most = 24;
    measure_decode_cases(s, decode_model_shapes(), "attention_decode_shapes");
    measure_decode_cases(s, decode_grid(), "attention_decode");
    measure_decode_cases(s, decode_scatter(), "attention_decode_scatter");
}

}  // namespace orrery::calibrate
