#include "study/held_out.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.hpp"
#include "hardware/accelerator_profile.hpp"
#include "hardware/attention_time.hpp"
#include "hardware/gemm_time.hpp"
#include "hardware/grouped_gemm_time.hpp"
#include "study/operator_answer.hpp"

namespace orrery {
namespace {

// A measured row: its class, its shape in words and the operators that its time covers.
struct Case {
    std::string name, shape;
    std::vector<Operator> operators;
    std::int64_t sms = 0;
    double time = 0;  // s
};

class Rows {
  public:
    Rows(const ConfigNode& node, const std::string& name)
        : table_(read_data_table(node, name)), time_(table_.column("time_us")) {}
    std::size_t size() const { return table_.rows(); }
    std::int64_t at(std::size_t row, const char* column) const {
        return static_cast<std::int64_t>(table_.numbers[row][table_.column(column)]);
    }
    const std::string& text(std::size_t row, const char* column) const {
        return table_.texts[row][table_.column(column)];
    }
    std::string where(std::size_t row, const char* column) const {
        return fmt::format("{}: rows[{}].{}", table_.file, row, column);
    }
    double time(std::size_t row) const { return table_.numbers[row][time_] * 1e-6; }
    bool has(const char* column) const { return table_.has_column(column); }

  private:
    DataTable table_;
    std::size_t time_;
};

Case gemm_case(const Rows& r, std::size_t i) {
    const Gemm g{r.at(i, "m"), r.at(i, "n"), r.at(i, "k"),
                 parse_precision(r.text(i, "precision"), r.where(i, "precision")),
                 r.at(i, "accumulate") != 0};
    return {fmt::format("gemm {}", to_string(g.precision)),
            fmt::format("{} x {} x {}", g.m, g.n, g.k),
            {{"gemm", g}},
            r.at(i, "sm"),
            r.time(i)};
}

Case limited_gemm_case(const Rows& r, std::size_t i) {
    Case c = gemm_case(r, i);
    c.shape = fmt::format("{} {}", r.text(i, "precision"), c.shape);
    c.name = fmt::format("gemm on {} SMs", c.sms);
    return c;
}

Case grouped_case(const Rows& r, std::size_t i) {
    GroupedGemm g;
    g.layout = parse_layout(r.text(i, "layout"), r.where(i, "layout"));
    g.precision = parse_precision(r.text(i, "precision"), r.where(i, "precision"));
    g.groups = r.at(i, "groups");
    g.rows = g.groups * r.at(i, "rows_per_group");
    g.n = r.at(i, "n");
    g.k = r.at(i, "k");
    return {fmt::format("grouped_gemm {}", to_string(g.layout)),
            fmt::format("{} x {} x {} x {}", g.groups, g.rows / g.groups, g.n, g.k),
            {{"grouped_gemm", g}},
            r.at(i, "sm"),
            r.time(i)};
}

// The kernels before and behind an attention backward, as the lowering counts them.
void add_helpers(const Attention& a, std::vector<Operator>& operators) {
    const std::int64_t rows = a.sequences * a.query_length * a.query_heads;
    const double values = static_cast<double>(rows) * static_cast<double>(a.value_dim);
    const double queries = static_cast<double>(rows) * static_cast<double>(a.query_key_dim);
    const auto each = static_cast<double>(rows);
    operators.push_back({"attention_preprocess",
                         MemoryOp{MemoryOpKind::attention_preprocess, rows, a.value_dim,
                                  Bytes(4 * values + 4 * each), Bytes(8 * each + 4 * queries)}});
    operators.push_back({"attention_postprocess",
                         MemoryOp{MemoryOpKind::attention_postprocess, rows, a.query_key_dim,
                                  Bytes(4 * queries), Bytes(2 * queries)}});
}

Case attention_case(const Rows& r, std::size_t i) {
    Attention a;
    a.pass = r.has("pass") ? parse_attention_pass(r.text(i, "pass"), r.where(i, "pass"))
                           : AttentionPass::decode;
    a.sequences = r.at(i, "sequences");
    a.query_length = r.at(i, "query_length");
    a.key_length = r.at(i, "key_length");
    a.query_heads = r.at(i, "query_heads");
    a.key_heads = r.at(i, "key_heads");
    a.query_key_dim = r.at(i, "query_key_dim");
    a.value_dim = r.at(i, "value_dim");
    const bool decode = a.pass == AttentionPass::decode;
    Case c{decode                              ? "attention decode"
           : a.pass == AttentionPass::backward ? "attention backward"
                                               : "attention forward",
           fmt::format("{} x {} tokens, {}/{} heads of {}/{}", a.sequences, a.key_length,
                       a.query_heads, a.key_heads, a.query_key_dim, a.value_dim),
           {{"attention", a}},
           r.has("sm") ? r.at(i, "sm") : 0,
           r.time(i)};
    if (a.pass == AttentionPass::backward) add_helpers(a, c.operators);
    return c;
}

Case memory_case(const Rows& r, std::size_t i) {
    const MemoryOp op{memory_kind_of(r.text(i, "kind")), r.at(i, "rows"), r.at(i, "columns"),
                      Bytes(static_cast<double>(r.at(i, "bytes"))), Bytes(0)};
    return {"memory",
            fmt::format("{} {} x {}", to_string(op.kind), op.rows, op.columns),
            {{"memory", op}},
            r.at(i, "sm"),
            r.time(i)};
}

Case copy_case(const Rows& r, std::size_t i) {
    Case c = memory_case(r, i);
    c.name = "copy";
    return c;
}

struct Kind {
    const char* table;
    Case (*make)(const Rows&, std::size_t);
};
constexpr Kind kKinds[] = {{"held_out_gemm", gemm_case},
                           {"held_out_gemm_fewer_sms", limited_gemm_case},
                           {"held_out_grouped_gemm", grouped_case},
                           {"held_out_attention", attention_case},
                           {"held_out_attention_decode", attention_case},
                           {"held_out_memory", memory_case},
                           {"held_out_copy", copy_case}};

HeldOutClass summary_of(const std::string& name, const std::vector<const Case*>& cases,
                        const std::vector<double>& errors) {
    HeldOutClass result{name, summarise(errors), 0, 0, "", 0};
    for (std::size_t i = 0; i < errors.size(); ++i) {
        result.mean += errors[i] / static_cast<double>(errors.size());
        result.share += std::fabs(errors[i]) <= 0.1 ? 1 / static_cast<double>(errors.size()) : 0;
        if (i > 0 && std::fabs(errors[i]) <= std::fabs(result.worst)) continue;
        result.worst = errors[i];
        result.worst_shape = cases[i]->shape;
    }
    return result;
}

}  // namespace

HeldOutCheck check_held_out(const std::string& accelerator, const std::filesystem::path& profiles,
                            const std::filesystem::path& file) {
    const OperatorTimeModel model(load_accelerator(accelerator, profiles));
    const ConfigNode root = ConfigNode::load(file);
    const ConfigNode tables = root.at("tables");
    std::vector<Case> cases;
    for (const Kind& kind : kKinds) {
        if (!tables.has(kind.table)) continue;
        const Rows rows(tables.at(kind.table), kind.table);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            // A noted row is another kernel's, measured beside the one that prices are of.
            if (rows.has("note") && !rows.text(i, "note").empty()) continue;
            cases.push_back(kind.make(rows, i));
        }
    }
    if (cases.empty()) tables.fail("must have a table of held-out shapes (held_out_gemm, ...)");
    HeldOutCheck check{root.at("device").as_string(), root.at("date").as_string(), {}};
    std::vector<std::string> names;
    for (const Case& c : cases) {
        if (std::find(names.begin(), names.end(), c.name) == names.end()) names.push_back(c.name);
    }
    for (const std::string& name : names) {
        std::vector<const Case*> of;
        std::vector<double> errors;
        for (const Case& c : cases) {
            if (c.name != name) continue;
            double time = 0;
            for (const Operator& op : c.operators) time += model.time(op, {c.sms}).time.value();
            of.push_back(&c);
            errors.push_back(time / c.time - 1);
        }
        check.classes.push_back(summary_of(name, of, errors));
    }
    return check;
}

}  // namespace orrery
