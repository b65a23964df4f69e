#include "calibrate/coverage.hpp"

#include "core/config.hpp"
#include "hardware/grouped_gemm_time.hpp"

namespace orrery::calibrate {
namespace {

constexpr std::int64_t kMost = 1ll << 40;

// The enumerator among `all` whose name is the node's text.
template <class E, std::size_t kCount>
E named(const ConfigNode& node, const E (&all)[kCount], const char* rule) {
    const std::string text = node.as_string();
    for (const E e : all)
        if (text == to_string(e)) return e;
    node.fail(rule);
}

GemmCase gemm_from(const ConfigNode& node) {
    constexpr Precision kAll[] = {Precision::bf16, Precision::fp8_tensor, Precision::fp8_block};
    GemmCase c;
    c.gemm.precision = named(node.at("precision"), kAll, "must be bf16, fp8_tensor or fp8_block");
    c.gemm.m = node.at("m").as_integer(1, kMost);
    c.gemm.n = node.at("n").as_integer(1, kMost);
    c.gemm.k = node.at("k").as_integer(1, kMost);
    if (const auto a = node.find("accumulate")) c.gemm.accumulate = a->as_bool();
    if (const auto sm = node.find("sm")) c.sms = sm->as_integer(1, 1024);
    return c;
}

GroupedCase grouped_from(const ConfigNode& node) {
    constexpr GroupLayout kAll[] = {GroupLayout::contiguous, GroupLayout::masked,
                                    GroupLayout::k_grouped};
    GroupedCase c;
    c.layout = named(node.at("layout"), kAll, "must be contiguous, masked or k_grouped");
    c.groups = node.at("groups").as_integer(1, kMost);
    c.rows_per_group = node.at("rows_per_group").as_integer(1, kMost);
    c.n = node.at("n").as_integer(1, kMost);
    c.k = node.at("k").as_integer(1, kMost);
    if (const auto sm = node.find("sm")) c.sms = int(sm->as_integer(1, 1024));
    return c;
}

Attention attention_from(const ConfigNode& node) {
    const std::string pass = node.at("pass").as_string();
    Attention a;
    if (pass == "backward")
        a.pass = AttentionPass::backward;
    else if (pass == "decode")
        a.pass = AttentionPass::decode;
    else if (pass != "forward")
        node.at("pass").fail("must be forward, backward or decode");
    const auto count = [&](const char* key) { return node.at(key).as_integer(1, kMost); };
    a.sequences = count("sequences");
    a.query_length = count("query_length");
    a.key_length = count("key_length");
    a.query_heads = count("query_heads");
    a.key_heads = count("key_heads");
    a.query_key_dim = count("query_key_dim");
    a.value_dim = count("value_dim");
    a.causal = node.at("causal").as_bool();
    if (const auto window = node.find("window")) a.window = window->as_integer(0, kMost);
    return a;
}

MemoryCase memory_from(const ConfigNode& node) {
    using K = MemoryOpKind;
    constexpr K kAll[] = {K::rms_norm,   K::rms_norm_backward,
                          K::cast_fp8,   K::cast_transpose,
                          K::transpose,  K::cast_back,
                          K::swiglu,     K::swiglu_backward,
                          K::rope,       K::add,
                          K::copy,       K::router,
                          K::permute,    K::unpermute,
                          K::embedding,  K::cross_entropy,
                          K::adamw,      K::zero,
                          K::norm_reduce};
    return {named(node.at("operator"), kAll, "must be a memory operator with a kernel in kernels/"),
            node.at("rows").as_integer(1, kMost), node.at("columns").as_integer(1, kMost)};
}

}  // namespace

MissingShapes read_missing(const std::filesystem::path& file) {
    const ConfigNode root = ConfigNode::load(file);
    MissingShapes shapes;
    for (const ConfigNode& node : root.at("missing").elements()) {
        const std::string kind = node.at("kind").as_string();
        if (const auto name = node.find("name")) name->as_string();
        if (kind == "gemm") {
            shapes.gemms.push_back(gemm_from(node));
        } else if (kind == "grouped_gemm") {
            const GroupedCase c = grouped_from(node);
            const std::string precision = node.at("precision").as_string();
            if (precision == to_string(Precision::fp8_block))
                shapes.grouped.push_back(c);
            else
                shapes.without_kernel.push_back("grouped_gemm in " + precision);
        } else if (kind == "memory") {
            shapes.memory.push_back(memory_from(node));
        } else if (kind == "attention") {
            const Attention a = attention_from(node);
            if (a.window > 0)
                shapes.without_kernel.push_back("attention with a window");
            else
                (a.pass == AttentionPass::decode ? shapes.decode : shapes.attention).push_back(a);
        } else {
            node.at("kind").fail("must be gemm, grouped_gemm, attention or memory");
        }
    }
    root.reject_unknown_keys();
    return shapes;
}

}  // namespace orrery::calibrate
