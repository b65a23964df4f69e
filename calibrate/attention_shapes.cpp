#include "calibrate/attention_shapes.hpp"

#include "calibrate/domains.hpp"

namespace orrery::calibrate {
namespace {

constexpr double kLargestFlops = 3e12;
constexpr double kLargestBytes = 4e9;
constexpr std::size_t kScattered = 64;
constexpr std::int64_t kLengths[] = {256, 512, 1024, 2048, 4096, 8192, 16384};

Attention make(std::int64_t sequences, std::int64_t length, std::int64_t heads,
               std::int64_t key_heads, std::int64_t dim) {
    Attention a;
    a.sequences = sequences;
    a.query_length = a.key_length = length;
    a.query_heads = heads;
    a.key_heads = key_heads;
    a.query_key_dim = dim;
    a.value_dim = 128;
    return a;
}

}  // namespace

std::vector<Attention> attention_grid(AttentionPass pass) {
    std::vector<Attention> all;
    for (const std::int64_t dim : {192, 128})
        for (const std::int64_t length : kLengths) {
            for (const std::int64_t heads : {128, 64, 32, 16, 8})
                all.push_back(make(1, length, heads, heads, dim));
            for (const std::int64_t sequences : {2, 4, 8})
                all.push_back(make(sequences, length, 128, 128, dim));
        }
    for (const std::int64_t length : kLengths)
        for (const std::int64_t heads : {64, 32}) all.push_back(make(1, length, heads, 8, 128));
    std::erase_if(all, [](const Attention& a) {
        const Operator op{"", a};
        return flops(op).value() > kLargestFlops || bytes(op).value() > kLargestBytes;
    });
    all.push_back(make(1, 16384, 128, 128, 192));
    for (const Attention& a : even_cases<3>(kScattered, [&](const Cube<3>&u, std::uint64_t i) {
             return attention_at(pass, i, u);
         }))
        all.push_back(a);
    for (Attention& a : all) a.pass = pass;
    return all;
}

}  // namespace orrery::calibrate
