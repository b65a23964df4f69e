#include "calibrate/profile_writer.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "calibrate/profile_scalars.hpp"
#include "calibrate/profile_tables.hpp"
#include "core/config.hpp"
#include "core/error.hpp"
#include "hardware/grouped_gemm_time.hpp"
#include "hardware/operator_time.hpp"
#include "hardware/tile_fit.hpp"

namespace orrery::calibrate {
namespace {

// Rows of a layout below which its tile constants are not fitted.
constexpr std::size_t kFewestToFit = 30;

namespace fs = std::filesystem;

constexpr const char* kMark = "written by orrery-calibrate";

// Numbers that a profile needs, and what gives them.
struct Needed {
    const char* key;
    const char* family;
};
constexpr Needed kNeeded[] = {
    {"sms", "any family"},        {"memory", "any family"},    {"memory_bandwidth", "any family"},
    {"copy_bandwidth", "memory"}, {"peak_bf16", "any family"}, {"peak_fp8", "any family"},
    {"launch_gap", "launch_gap"}, {"kernel_floor", "memory"},  {"saturating_sms", "contention"}};
// Tables that operators are priced from; one that is missing is named in the profile.
constexpr const char* kFamilies[] = {"gemm",          "grouped_gemm",     "attention",
                                     "attention_sms", "attention_decode", "memory",
                                     "sustained",     "contention"};

struct Entry {
    std::string family, json;
};

std::string indented_rows(const std::vector<std::string>& rows) {
    std::string out = "\"rows\": [";
    for (std::size_t i = 0; i < rows.size(); ++i)
        out += (i == 0 ? "\n        " : ",\n        ") + rows[i];
    return out + "\n      ]";
}

std::string table_json(const ProfileTable& t) {
    std::vector<std::string> rows;
    for (const Row& row : t.table.rows) rows.push_back(json_row(row));
    const Row columns(t.table.columns.begin(), t.table.columns.end());
    return fmt::format(
        "{{\n      \"origin\": \"{}\",\n      \"source\": {},\n      \"about\": \"{}\",\n"
        "      \"columns\": {},\n      {}\n    }}",
        to_string(t.from.origin), json_text(t.from.source), kMark, json_row(columns),
        indented_rows(rows));
}

// An entry of an existing profile as it stood, a row of a table a line.
std::string kept_json(const ConfigNode& entry) {
    if (!entry.is_object() || !entry.has("columns")) return entry.dump(-1);
    std::string out = "{\n";
    for (const std::string& key : entry.keys())
        if (key != "rows")
            out += fmt::format("      {}: {},\n", json_text(key), entry.at(key).dump(-1));
    std::vector<std::string> rows;
    for (const ConfigNode& row : entry.at("rows").elements()) rows.push_back(row.dump(-1));
    return out + "      " + indented_rows(rows) + "\n    }";
}

bool is_marked(const ConfigNode& entry) {
    const auto about = entry.is_object() ? entry.find("about") : std::nullopt;
    return about && about->as_string() == kMark;
}

std::string scalar_json(const SheetValue& v) {
    const bool plain = v.value.find(' ') == std::string::npos;
    return fmt::format("{{\"value\": {}, \"origin\": \"{}\", \"source\": {}}}",
                       plain ? v.value : json_text(v.value), to_string(v.from.origin),
                       json_text(v.from.source));
}

// A number of an existing profile as it stood.
std::string kept_scalar(const ConfigNode& node) {
    if (!node.has("value")) return node.dump(-1);
    return fmt::format("{{\"value\": {}, \"origin\": {}, \"source\": {}}}",
                       node.at("value").dump(-1), node.at("origin").dump(-1),
                       node.at("source").dump(-1));
}

class Writer {
  public:
    Writer(const Results& results, const fs::path& file) : results_(results), file_(file) {
        std::error_code ec;
        if (fs::exists(file, ec)) existing_ = ConfigNode::load(file);
        collect_tables();
        collect_scalars();
        fit_tile_constants();
    }

    std::string text() const {
        std::string out = "{\n";
        out += fmt::format("  \"title\": {},\n", title());
        out += fmt::format("  \"about\": {},\n", json_text(about()));
        for (const auto& [key, json] : scalars_) out += fmt::format("  \"{}\": {},\n", key, json);
        out += "  \"tables\": {";
        std::string family;
        for (const Entry& e : tables_) {
            if (e.family != family)
                out += fmt::format("{}\n    \"{}\": [", family.empty() ? "" : "],", e.family);
            else
                out += ", ";
            family = e.family;
            out += e.json;
        }
        return out + (tables_.empty() ? "}\n}\n" : "]\n  }\n}\n");
    }

  private:
    void collect_tables() {
        const std::vector<ProfileTable> made = profile_tables(results_);
        const auto measured = [&](const std::string& family) {
            return std::any_of(made.begin(), made.end(),
                               [&](const ProfileTable& t) { return t.family == family; });
        };
        if (const auto tables = existing_ ? existing_->find("tables") : std::nullopt)
            for (const std::string& family : tables->keys())
                for (const ConfigNode& entry : tables->at(family).elements())
                    if (!is_marked(entry) || (!measured(family) && family != "gemm_model" &&
                                              family != "grouped_gemm_model"))
                        tables_.push_back({family, kept_json(entry)});
        for (const ProfileTable& t : made) tables_.push_back({t.family, table_json(t)});
        group_families();
    }

    // Entries of a family side by side, in the order that they have now.
    void group_families() {
        std::vector<std::string> order;
        for (const Entry& e : tables_)
            if (std::find(order.begin(), order.end(), e.family) == order.end())
                order.push_back(e.family);
        const auto place = [&](const Entry& e) {
            return std::find(order.begin(), order.end(), e.family) - order.begin();
        };
        std::stable_sort(tables_.begin(), tables_.end(),
                         [&](const Entry& a, const Entry& b) { return place(a) < place(b); });
    }

    void collect_scalars() {
        std::vector<SheetValue> values = measured_scalars(results_);
        const auto facts = device_facts(results_);
        const auto sheet = facts ? data_sheet(*facts) : std::vector<SheetValue>{};
        const bool inherits = existing_ && existing_->has("inherits");
        if (inherits) scalars_.emplace_back("inherits", existing_->at("inherits").dump(-1));
        std::vector<std::string> missing;
        const auto take = [&](const std::vector<SheetValue>& from, const char* key) {
            for (const SheetValue& v : from)
                if (v.key == key) {
                    scalars_.emplace_back(key, scalar_json(v));
                    return true;
                }
            return false;
        };
        for (const auto& [key, family] : kNeeded) {
            if (take(values, key)) continue;
            if (existing_ && existing_->has(key))
                scalars_.emplace_back(key, kept_scalar(existing_->at(key)));
            else if (!take(sheet, key) && !inherits)
                missing.push_back(fmt::format("{} (family {})", key, family));
        }
        if (!take(values, "graph_gap") && existing_ && existing_->has("graph_gap"))
            scalars_.emplace_back("graph_gap", kept_scalar(existing_->at("graph_gap")));
        if (existing_ && existing_->has("compute_efficiency"))
            scalars_.emplace_back("compute_efficiency",
                                  kept_scalar(existing_->at("compute_efficiency")));
        if (!missing.empty())
            throw InputError(fmt::format("{}: no profile without {}: not measured yet",
                                         file_.string(), fmt::join(missing, ", ")));
    }

    // Table gemm_model, fitted to the GEMM rows; one that a person wrote stays instead.
    void fit_tile_constants() {
        const auto has = [&](const char* family) {
            return std::any_of(tables_.begin(), tables_.end(),
                               [&](const Entry& e) { return e.family == family; });
        };
        if (has("gemm_model") || !has("gemm")) return;
        const ConfigNode root = ConfigNode::parse(text(), file_.string());
        if (!root.has("copy_bandwidth") || !root.has("sms")) return;  // inherited, as its model
        AcceleratorProfile p;
        p.sms = root.at("sms").as_sourced<Ratio>();
        p.copy_bandwidth = root.at("copy_bandwidth").as_sourced<BytesPerSecond>();
        p.peak_bf16 = root.at("peak_bf16").as_sourced<FlopsPerSecond>();
        p.peak_fp8 = root.at("peak_fp8").as_sourced<FlopsPerSecond>();
        p.tables = read_tables(root.at("tables"), file_.parent_path());
        const double sms = p.sms.value.value();
        const TileDevice device{sms, sms, p.copy_bandwidth.value.value()};
        std::vector<std::pair<std::string, TileFit>> dense, grouped;
        std::vector<double> dense_rows, grouped_rows;
        for (const Precision of : {Precision::bf16, Precision::fp8_tensor, Precision::fp8_block}) {
            const auto samples = tile_samples(p, of);
            if (samples.empty()) continue;
            dense.emplace_back(to_string(of), fit_tile_model(samples, device, tile_start(p, of)));
            dense_rows.push_back(double(samples.size()));
        }
        for (const GroupLayout of :
             {GroupLayout::contiguous, GroupLayout::masked, GroupLayout::k_grouped}) {
            const auto samples = grouped_samples(p, of);
            if (samples.size() < kFewestToFit) continue;
            grouped.emplace_back(to_string(of), fit_tile_model(samples, device, grouped_start(p)));
            grouped_rows.push_back(double(samples.size()));
        }
        add_fitted("gemm_model", "precision", "gemm", dense, dense_rows);
        if (!grouped.empty())
            add_fitted("grouped_gemm_model", "layout", "grouped_gemm", grouped, grouped_rows);
    }

    void add_fitted(const char* family, const char* key, const char* rows_of,
                    const std::vector<std::pair<std::string, TileFit>>& fits,
                    const std::vector<double>& rows) {
        Table table{family, {key}, 1, {}};
        for (const TileColumn& c : tile_columns()) table.columns.push_back(c.name);
        table.columns.insert(table.columns.end(), {"rows", "error"});
        for (std::size_t i = 0; i < fits.size(); ++i) {
            Row row{fits[i].first};
            for (const TileColumn& c : tile_columns())
                row.push_back(rounded(fits[i].second.constants.*c.member / c.unit));
            row.insert(row.end(), {rows[i], rounded(fits[i].second.error)});
            table.rows.push_back(row);
        }
        const ProfileTable fitted{
            family,
            table,
            {Origin::derived,
             fmt::format("constants of sim/hardware/tile_model.hpp: least absolute logarithmic "
                         "error (column error: its mean) over the rows of table {} on all SMs",
                         rows_of)}};
        tables_.push_back({family, table_json(fitted)});
    }

    std::string title() const {
        if (existing_ && existing_->has("title")) return existing_->at("title").dump(-1);
        const std::string device = results_.heading_of("device");
        return json_text(device.substr(0, device.find(" (")));
    }

    std::string about() const {
        std::string text =
            fmt::format("Written by orrery-calibrate from {}. Last run: {}.",
                        fmt::join(results_.files, ", "), provenance_of(results_.heading));
        std::string missing;
        for (const char* family : kFamilies)
            if (std::none_of(tables_.begin(), tables_.end(),
                             [&](const Entry& e) { return e.family == family; }))
                missing += fmt::format("{}{}", missing.empty() ? "" : ", ", family);
        if (!missing.empty()) text += fmt::format(" Tables that are missing: {}.", missing);
        return text;
    }

    const Results& results_;
    const fs::path& file_;
    std::optional<ConfigNode> existing_;
    std::vector<std::pair<std::string, std::string>> scalars_;  // key -> JSON
    std::vector<Entry> tables_;
};

}  // namespace

std::string profile_json(const Results& results, const fs::path& file) {
    return Writer(results, file).text();
}

void write_profile(const Results& results, const fs::path& file) {
    const std::string text = profile_json(results, file);
    const fs::path trial = file.string() + ".trial.json";
    write_file(trial, text);
    try {
        const OperatorTimeModel loads(load_accelerator(trial.string(), trial.parent_path()));
    } catch (...) {
        fs::remove(trial);
        throw;
    }
    fs::rename(trial, file);
}

}  // namespace orrery::calibrate
