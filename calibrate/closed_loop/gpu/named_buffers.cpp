#include "calibrate/closed_loop/gpu/named_buffers.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "calibrate/gpu/check.hpp"
#include "core/error.hpp"
#include "core/random.hpp"
#include "kernels/probe.hpp"

namespace orrery::closed_loop {
namespace {

using calibrate::Buffer;

constexpr std::int64_t kMargin = 1 << 16;  // kernels of odd widths read past a row's end

// FP8 values have a standard deviation of 112: activations of deviation 1 have scales of 1 / 112,
// weights a further 1 / 64 (about 1 / sqrt(k)); half to twice that.
void fill_scales(const Buffer& buffer, bool weights) {
    constexpr std::size_t kPattern = 1 << 20;
    const double typical = weights ? 1.0 / 112 / 64 : 1.0 / 112;
    std::vector<float> values(kPattern);
    for (std::size_t i = 0; i < kPattern; ++i) {
        values[i] = float(typical * (0.5 + 1.5 * counter_uniform(11, 0, i)));
    }
    const auto total = std::size_t(buffer.bytes());
    for (std::size_t at = 0; at < total; at += kPattern * 4) {
        ORRERY_CHECK(cudaMemcpy(buffer.as<char>() + at, values.data(),
                                std::min(kPattern * 4, total - at), cudaMemcpyHostToDevice));
    }
}

}  // namespace

void* NamedBuffers::find(const std::string& name, std::int64_t bytes, Content content) {
    Entry& entry = entries_[name];
    if (planning_) {
        entry.bytes = std::max(entry.bytes, bytes);
        if (entry.content == Content::any) entry.content = content;
        return nullptr;
    }
    if (bytes > entry.bytes) {
        throw InputError(fmt::format("buffer {}: {} bytes were planned, {} are asked for", name,
                                     entry.bytes, bytes));
    }
    return entry.buffer.as<void>();
}

void NamedBuffers::allocate(cudaStream_t stream) {
    using namespace orrery::kernels;
    std::uint64_t seed = 100;
    for (auto& [name, entry] : entries_) {
        entry.buffer = Buffer((entry.bytes + kMargin + 1023) / 1024 * 1024);
        void* data = entry.buffer.as<void>();
        const std::int64_t n = entry.buffer.bytes();
        const bool weights = name.ends_with(".w.scales") || name.ends_with(".wt.scales");
        switch (entry.content) {
            case Content::e4m3:
                fill_random(data, n, Fill::e4m3_normal, ++seed, stream);
                break;
            case Content::scales:
                fill_scales(entry.buffer, weights);
                break;
            case Content::floats:
                fill_random(data, n / 4, Fill::float_scale, ++seed, stream);
                break;
            default:
                fill_random(data, n / 2, Fill::bf16_normal, ++seed, stream);
                break;
        }
    }
    ORRERY_CHECK(cudaStreamSynchronize(stream));
    planning_ = false;
}

std::int64_t NamedBuffers::bytes() const {
    std::int64_t sum = 0;
    for (const auto& [name, entry] : entries_) sum += entry.buffer.bytes();
    return sum;
}

double NamedBuffers::not_finite(const std::string& name) const {
    const Entry& entry = entries_.at(name);
    std::vector<std::uint16_t> values(
        std::size_t(std::min<std::int64_t>(1 << 20, entry.bytes / 2)));
    ORRERY_CHECK(cudaMemcpy(values.data(), entry.buffer.as<void>(), values.size() * 2,
                            cudaMemcpyDeviceToHost));
    const auto bad = std::count_if(values.begin(), values.end(), [](std::uint16_t v) {
        return (v & 0x7f80) == 0x7f80;  // exponent all ones
    });
    return double(bad) / double(values.size());
}

}  // namespace orrery::closed_loop
