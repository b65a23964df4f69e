#include "calibrate/decode_shapes.hpp"

#include <utility>

#include "calibrate/domains.hpp"

namespace orrery::calibrate {
namespace {

constexpr double kLargestCache = 16e9;
constexpr std::size_t kScattered = 240;

struct Heads {
    std::int64_t query_heads, key_heads, query_tokens;
};

Attention decode(const Heads& h, std::int64_t batch, std::int64_t context) {
    const bool latent = h.key_heads == 1 && h.query_heads > 8;
    return {AttentionPass::decode,
            batch,
            h.query_tokens,
            context,
            h.query_heads,
            h.key_heads,
            latent ? 576 : 128,
            latent ? 512 : 128,
            true};
}

}  // namespace

std::vector<Attention> decode_grid() {
    constexpr Heads kHeads[] = {{16, 1, 1},   {64, 1, 1}, {80, 1, 1}, {128, 1, 1},
                                {128, 1, 2},  {8, 1, 1},  {32, 4, 1}, {64, 8, 1},
                                {128, 16, 1}, {32, 8, 1}, {64, 8, 2}};
    std::vector<Attention> cases;
    for (const Heads& h : kHeads)
        for (std::int64_t context = 128; context <= 131072; context *= 4)
            for (std::int64_t batch = 1; batch <= 256; batch *= 4) {
                const Attention a = decode(h, batch, context);
                if (bytes(Operator{"", a}).value() <= kLargestCache) cases.push_back(a);
            }
    return cases;
}

std::vector<Attention> decode_scatter() {
    return even_cases<3>(kScattered,
                         [](const Cube<3>& u, std::uint64_t i) { return decode_at(i, u); });
}

std::vector<Attention> decode_model_shapes() {
    using Size = std::pair<std::int64_t, std::int64_t>;
    constexpr Heads kHeads[] = {{128, 1, 1}, {128, 1, 2}, {32, 1, 1}, {16, 1, 1},
                                {64, 8, 1},  {64, 8, 2},  {32, 8, 1}};
    std::vector<Attention> cases;
    for (const Heads& h : kHeads)
        for (const auto& [batch, context] : {Size{1, 4096},
                                             {1, 131072},
                                             {32, 4096},
                                             {128, 1024},
                                             {128, 4096},
                                             {132, 4096},
                                             {8, 32768}})
            cases.push_back(decode(h, batch, context));
    return cases;
}

}  // namespace orrery::calibrate
