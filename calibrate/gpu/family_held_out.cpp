// Shapes that follow from a rule and not from a model (calibrate/held_out.hpp): spread evenly, for
// the tables that prices are read from; and held out, for comparison with these prices.

#include "calibrate/gpu/families.hpp"
#include "calibrate/held_out.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {

void measure_scatter(const Session& session) {
    Session s = session;
    // Most of a series at the power limit is waiting for the clock to come back: less of it here.
    s.rule.seconds = 0.12;
    s.rule.at_most = 24;
    for (const GroupedCase& c : grouped_scatter()) measure_grouped_case(s, c, "grouped_scatter");
    for (const MemoryCase& c : memory_scatter())
        measure_memory_case(s, c, "memory_scatter", {Cache::rotating});
    GemmRunner runner(s.device);
    constexpr Precision kAll[] = {Precision::fp8_block, Precision::bf16, Precision::fp8_tensor};
    for (const Precision p : kAll)
        for (const GemmCase& c : gemm_scatter(p)) measure_gemm_case(s, runner, c, "gemm_scatter");
    for (const Precision p : kAll)
        for (const GemmCase& c : gemm_scatter_fewer_sms(p))
            measure_gemm_case(s, runner, c, "gemm_fewer_sms");
}

void measure_held_out(const Session& s, std::uint64_t seed, const std::set<std::string>& only) {
    const std::set<std::string> known = {"gemm",   "grouped_gemm", "attention", "attention_decode",
                                         "memory", "copy"};
    for (const std::string& name : only)
        if (!known.contains(name))
            throw InputError("--only " + name +
                             ": with --held-out it must be gemm, grouped_gemm, attention, "
                             "attention_decode, memory or copy");
    const HeldOutShapes shapes = held_out_shapes(seed);
    const auto chosen = [&](const char* name) { return only.empty() || only.contains(name); };
    GemmRunner runner(s.device);
    if (chosen("gemm")) {
        for (const GemmCase& c : shapes.gemms) measure_gemm_case(s, runner, c, "held_out_gemm");
        for (const GemmCase& c : shapes.fewer_sms)
            measure_gemm_case(s, runner, c, "held_out_gemm_fewer_sms");
    }
    if (chosen("grouped_gemm"))
        for (const GroupedCase& c : shapes.grouped)
            measure_grouped_case(s, c, "held_out_grouped_gemm");
    if (chosen("attention"))
        for (const auto* cases : {&shapes.forward, &shapes.backward})
            measure_attention_cases(s, *cases, "held_out_attention");
    if (chosen("attention_decode"))
        measure_decode_cases(s, shapes.decode, "held_out_attention_decode");
    if (chosen("memory"))
        for (const MemoryCase& c : shapes.memory)
            measure_memory_case(s, c, "held_out_memory", {Cache::rotating});
    if (chosen("copy"))
        for (const MemoryCase& c : shapes.copies)
            measure_memory_case(s, c, "held_out_copy", {Cache::rotating});
}

}  // namespace orrery::calibrate
