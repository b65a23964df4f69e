#include "calibrate/held_out.hpp"

#include <set>

namespace orrery::calibrate {
namespace {

constexpr Precision kPrecisions[] = {Precision::bf16, Precision::fp8_tensor, Precision::fp8_block};
constexpr GroupLayout kLayouts[] = {GroupLayout::contiguous, GroupLayout::masked,
                                    GroupLayout::k_grouped};
constexpr std::size_t kScatteredGemms = 400, kScatteredFewerSms = 64, kScatteredGrouped = 120,
                      kScatteredMemory = 24;

template <class T>
void append(std::vector<T>& to, const std::vector<T>& more) {
    to.insert(to.end(), more.begin(), more.end());
}

std::vector<GemmCase> scattered(Precision precision, std::int64_t sms, std::size_t count) {
    return even_cases<3>(
        count, [&](const Cube<3>& u, std::uint64_t) { return gemm_at(precision, sms, u); });
}

// Shapes that prices are read from: they cannot be held out.
std::set<GemmCase> known_gemms(Precision precision) {
    std::set<GemmCase> known;
    const auto first_held_out =
        random_cases<3>(20261122, 0, kHeldOutCases,
                        [&](const Cube<3>& u, std::uint64_t) { return gemm_at(precision, 0, u); });
    for (const auto& cases : {gemm_grid(precision), gemm_scatter(precision), first_held_out})
        known.insert(cases.begin(), cases.end());
    return known;
}

}  // namespace

HeldOutShapes held_out_shapes(std::uint64_t seed) {
    HeldOutShapes shapes;
    std::uint64_t component = 0;
    for (const Precision p : kPrecisions) {
        const std::set<GemmCase> known = known_gemms(p);
        for (const std::int64_t sms : {0, 112}) {
            const std::size_t count = sms == 0 ? kHeldOutCases : (kHeldOutCases + 2) / 3;
            append(sms == 0 ? shapes.gemms : shapes.fewer_sms,
                   random_cases<3>(seed, ++component, count, [&](const Cube<3>& u, std::uint64_t) {
                       const auto c = gemm_at(p, sms, u);
                       return c && known.contains(*c) ? std::nullopt : c;
                   }));
        }
    }
    for (const GroupLayout layout : kLayouts)
        append(shapes.grouped, random_cases<4>(seed, ++component, kHeldOutCases,
                                               [&](const Cube<4>& u, std::uint64_t) {
                                                   return grouped_at(layout, 0, u);
                                               }));
    for (const AttentionPass pass : {AttentionPass::forward, AttentionPass::backward})
        append(pass == AttentionPass::forward ? shapes.forward : shapes.backward,
               random_cases<3>(
                   seed, ++component, kHeldOutCases,
                   [&](const Cube<3>& u, std::uint64_t i) { return attention_at(pass, i, u); }));
    shapes.decode =
        random_cases<3>(seed, ++component, kHeldOutCases,
                        [](const Cube<3>& u, std::uint64_t i) { return decode_at(i, u); });
    for (const MemoryDomain& d : memory_domains())
        append(shapes.memory,
               random_cases<2>(seed, ++component, kHeldOutCases / memory_domains().size() + 1,
                               [&](const Cube<2>& u, std::uint64_t) { return memory_at(d, u); }));
    shapes.copies = random_cases<1>(seed, ++component, kHeldOutCases,
                                    [](const Cube<1>& u, std::uint64_t) { return copy_at(u); });
    return shapes;
}

std::vector<GemmCase> gemm_scatter(Precision precision) {
    return scattered(precision, 0, kScatteredGemms);
}

std::vector<GemmCase> gemm_scatter_fewer_sms(Precision precision) {
    std::vector<GemmCase> cases;
    for (const std::int64_t sms : {112, 96, 64})
        append(cases, scattered(precision, sms, kScatteredFewerSms));
    return cases;
}

std::vector<GroupedCase> grouped_scatter() {
    std::vector<GroupedCase> cases;
    for (const GroupLayout layout : kLayouts)
        append(cases, even_cases<4>(kScatteredGrouped, [&](const Cube<4>& u, std::uint64_t) {
                   return grouped_at(layout, 0, u);
               }));
    return cases;
}

std::vector<MemoryCase> memory_scatter() {
    std::vector<MemoryCase> cases;
    for (const MemoryDomain& d : memory_domains())
        append(cases, even_cases<2>(kScatteredMemory, [&](const Cube<2>& u, std::uint64_t) {
                   return memory_at(d, u);
               }));
    append(cases, even_cases<1>(kScatteredMemory,
                                [](const Cube<1>& u, std::uint64_t) { return copy_at(u); }));
    return cases;
}

}  // namespace orrery::calibrate
