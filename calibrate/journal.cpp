#include "calibrate/journal.hpp"

#include <fstream>

#include <fmt/format.h>

#include "core/config.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

Row row_from(const ConfigNode& node) {
    Row row;
    for (const ConfigNode& cell : node.elements())
        row.push_back(cell.is_string() ? Cell(cell.as_string())
                                       : Cell(cell.is_null() ? 0.0 : cell.as_number()));
    return row;
}

}  // namespace

Journal::Journal(std::filesystem::path results_file, std::string device)
    : file_(results_file.string() + ".journal") {
    if (std::filesystem::exists(file_)) {
        read(device);
        return;
    }
    std::ofstream out(file_);
    out << "{\"device\": " << json_text(device) << "}\n";
    if (!out.flush()) throw InputError(fmt::format("{}: cannot be written", file_.string()));
}

void Journal::read(const std::string& device) {
    std::ifstream in(file_);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    if (lines.empty()) throw InputError(fmt::format("{}: is empty: remove it", file_.string()));
    const std::string was = ConfigNode::parse(lines[0], file_.string()).at("device").as_string();
    if (was != device)
        throw InputError(file_.string(), "device", was,
                         fmt::format("this device is {}: remove the file to start anew", device));
    for (std::size_t i = 1; i < lines.size(); ++i) {
        try {
            const ConfigNode node =
                ConfigNode::parse(lines[i], fmt::format("{}:{}", file_.string(), i + 1));
            Table like{node.at("table").as_string(), {}, 0, {}};
            for (const ConfigNode& c : node.at("columns").elements())
                like.columns.push_back(c.as_string());
            like.keys = std::size_t(node.at("keys").as_integer(0));
            Table& table = table_like(like);
            table.rows.push_back(row_from(node.at("row")));
            done_.insert(table.name + "|" + key_of(table.rows.back(), table.keys));
            ++rows_read_;
        } catch (const InputError&) {
            if (i + 1 < lines.size()) throw;
        }
    }
}

Table& Journal::table_like(const Table& table) {
    for (Table& t : tables_)
        if (t.name == table.name) return t;
    tables_.push_back({table.name, table.columns, table.keys, {}});
    return tables_.back();
}

bool Journal::has(const std::string& table, const Row& key) const {
    return done_.contains(table + "|" + key_of(key, key.size()));
}

void Journal::add(const Table& table, const Row& row) {
    table_like(table).rows.push_back(row);
    done_.insert(table.name + "|" + key_of(row, table.keys));
    std::ofstream out(file_, std::ios::app);
    out << "{\"table\": " << json_text(table.name)
        << ", \"columns\": " << json_row(Row(table.columns.begin(), table.columns.end()))
        << ", \"keys\": " << table.keys << ", \"row\": " << json_row(row) << "}\n";
    if (!out.flush()) throw InputError(fmt::format("{}: cannot be written", file_.string()));
}

void Journal::finish() { std::filesystem::remove(file_); }

}  // namespace orrery::calibrate
