#include "calibrate/gpu/memory_ops.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "calibrate/gpu/check.hpp"
#include "core/error.hpp"
#include "core/random.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/norm.hpp"
#include "kernels/quantize.hpp"
#include "kernels/routing.hpp"
#include "kernels/swiglu.hpp"

namespace orrery::calibrate {
namespace {

using Bf16 = __nv_bfloat16;
using K = MemoryOpKind;

constexpr std::int64_t kRotateBytes = 256ll << 20;
constexpr std::int64_t kVocabulary = 129280;

std::shared_ptr<Buffer> upload(const std::vector<std::int32_t>& values) {
    auto buffer = std::make_shared<Buffer>(std::int64_t(values.size()) * 4);
    ORRERY_CHECK(
        cudaMemcpy(buffer->as<void>(), values.data(), values.size() * 4, cudaMemcpyHostToDevice));
    return buffer;
}

}  // namespace

// Row numbers: permute reads a token for every expert row; unpermute up to four rows a token;
// embedding and cross-entropy a random word a row.
std::shared_ptr<Buffer> memory_index(const MemoryCase& c) {
    const auto tokens = std::int64_t(double(c.rows) * kTokensPerExpertRow);
    std::vector<std::int32_t> index;
    const auto random_below = [&](std::int64_t i, std::int64_t bound) {
        return std::int32_t(counter_uniform(7, 0, std::uint64_t(i)) * double(bound));
    };
    if (c.kind == K::permute) {
        for (std::int64_t r = 0; r < c.rows; ++r)
            index.push_back(r < tokens ? std::int32_t(r) : random_below(r, tokens));
        for (std::int64_t r = c.rows - 1; r > 0; --r)
            std::swap(index[std::size_t(r)], index[std::size_t(random_below(r, r + 1))]);
    } else if (c.kind == K::unpermute) {
        index.assign(std::size_t(tokens * 4), -1);
        for (std::int64_t r = 0; r < c.rows; ++r) {
            const std::int64_t token = r < tokens ? r : random_below(r, tokens);
            for (std::int64_t k = 0; k < 4; ++k)
                if (index[std::size_t(token * 4 + k)] < 0) {
                    index[std::size_t(token * 4 + k)] = std::int32_t(r);
                    break;
                }
        }
    } else if (c.kind == K::embedding || c.kind == K::cross_entropy) {
        for (std::int64_t r = 0; r < c.rows; ++r)
            index.push_back(random_below(r, c.kind == K::embedding ? kVocabulary : c.columns));
    } else {
        return nullptr;
    }
    return upload(index);
}

void launch_memory(const MemoryCase& c, const MemoryOperands& o, cudaStream_t stream) {
    using namespace orrery::kernels;
    const std::int64_t n = c.rows * c.columns;
    auto* out16 = reinterpret_cast<Bf16*>(o.out);
    auto* out8 = reinterpret_cast<std::uint8_t*>(o.out);
    auto* out32 = reinterpret_cast<float*>(o.out);
    switch (c.kind) {
        case K::rms_norm:
            return rms_norm(o.x, o.y, out16, o.f, c.rows, c.columns, stream);
        case K::rms_norm_backward:
            return rms_norm_backward(o.x, o.x2, o.y, o.f, out16, o.f + c.rows,
                                     o.f + c.rows + c.columns, c.rows, c.columns, stream);
        case K::cast_fp8:
            return cast_fp8(o.x, out8, o.f, c.rows, c.columns, stream);
        case K::cast_transpose:
            return cast_transpose(o.x, out8, o.f, c.rows, c.columns, stream);
        case K::transpose:
            return transpose_bytes(o.q, out8, c.rows, c.columns, stream);
        case K::cast_back:
            return cast_back(o.q, o.f, out16, c.rows, c.columns, stream);
        case K::swiglu:
            return swiglu(o.x, out8, o.f, c.rows, c.columns, stream);
        case K::swiglu_backward:
            return swiglu_backward(o.x, o.x2, out16, c.rows, c.columns, stream);
        case K::rope: {
            const std::int64_t heads = c.rows % 128 == 0 && c.rows > 8192 ? 128 : 1;
            return rope(out16, o.f, o.f + c.rows / heads * 32, c.rows / heads, heads,
                        heads == 1 ? 64 : 192, stream);
        }
        case K::add:
            return add(o.x, o.x2, out16, n, stream);
        case K::copy:
            return copy_bytes(o.x, o.out, 2 * n, stream);
        case K::zero:
            return zero_bytes(o.out, 2 * n, stream);
        case K::router:
            return route(o.f, o.f + n, reinterpret_cast<std::int32_t*>(o.out), out32 + c.rows * 8,
                         c.rows, stream);
        case K::permute:
            return gather_rows(o.q, o.index, o.out, c.rows, c.columns, stream);
        case K::unpermute:
            return reduce_rows(o.x, o.index, o.f, out16,
                               std::int64_t(double(c.rows) * kTokensPerExpertRow), 4, c.columns,
                               stream);
        case K::embedding:
            return gather_rows(o.x, o.index, o.out, c.rows, 2 * c.columns, stream);
        case K::cross_entropy:
            return cross_entropy(out16, o.index, o.f, 1e-3f, c.rows, c.columns, stream);
        case K::adamw: {
            const AdamW settings{1e-4f, 0.9f, 0.95f, 1e-8f, 0.1f, 100};
            auto* first = reinterpret_cast<Bf16*>(o.out + 4 * n);
            return adamw(out32, o.f, first, first + n, first + 2 * n, n, settings, stream);
        }
        case K::norm_reduce:
            return add_squares(o.f, out32, n, stream);
        default:
            throw InputError(describe(c) + ": no kernel of ours");
    }
}

std::int64_t memory_floats(const MemoryCase& c) {
    const std::int64_t n = c.rows * c.columns;
    const bool flat = c.columns == 1 || c.kind == K::router;
    const std::int64_t norm = c.kind == K::rms_norm_backward
                                  ? c.columns * 2 + kernels::rms_norm_backward_workspace(c.columns)
                                  : 0;
    return (flat ? n : 4 * c.rows + n / 128) + (c.kind == K::rope ? 64 * c.rows : 0) + norm +
           (1 << 18);
}

Subject memory_subject(const Device& device, const MemoryCase& c) {
    const Arena& arena = device.arena();
    const std::int64_t n = c.rows * c.columns;
    // The largest slice any kind takes of each region.
    const std::int64_t x_bytes = 2 * n *
                                 (c.kind == K::swiglu || c.kind == K::add ||
                                          c.kind == K::rms_norm_backward
                                      ? 2
                                      : (c.kind == K::swiglu_backward ? 3 : 1)),
                       out_bytes = c.kind == K::adamw  ? 10 * n
                                   : c.kind == K::rope ? 6 * n
                                                       : 4 * n,
                       embedding_bytes = c.kind == K::embedding ? kVocabulary * c.columns * 2 : 0;
    const std::int64_t f_bytes = 4 * memory_floats(c);
    const auto aligned = [](std::int64_t b) { return (b + 1023) / 1024 * 1024; };
    const std::int64_t x = aligned(std::max(x_bytes, embedding_bytes)), q = aligned(n),
                       f = aligned(f_bytes), out = aligned(out_bytes);
    const std::int64_t fit = std::min({arena.bf16.bytes() / x, arena.e4m3.bytes() / q,
                                       arena.scales.bytes() / f, arena.out.bytes() / out});
    if (fit < 1) throw InputError(describe(c) + ": does not fit the device's memory");
    const int sets = int(std::min(
        {fit, std::int64_t(2 + double(kRotateBytes) / memory_bytes(c)), std::int64_t(64)}));
    const auto index = memory_index(c);
    const Bf16* gains = arena.bf16.as<Bf16>();
    return {describe(c), sets, [=, &arena](int set, cudaStream_t stream) {
                const Bf16* first = arena.bf16.as<Bf16>() + set * x / 2;
                launch_memory(
                    c,
                    {first, first + n, gains, arena.e4m3.as<std::uint8_t>() + set * q,
                     arena.scales.as<float>() + set * f / 4, arena.out.as<char>() + set * out,
                     index ? index->as<std::int32_t>() : nullptr},
                    stream);
            }};
}

std::string describe(const MemoryCase& c) {
    return fmt::format("{} {}x{}", to_string(c.kind), c.rows, c.columns);
}

}  // namespace orrery::calibrate
