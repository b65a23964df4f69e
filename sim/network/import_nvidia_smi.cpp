// The matrix of `nvidia-smi topo -m`. A device's PCIe switch is shared with those it is PIX or PXB
// of, its socket with those it is not SYS of.

#include <algorithm>
#include <cctype>
#include <map>
#include <sstream>

#include <fmt/format.h>

#include "core/error.hpp"
#include "network/importers.hpp"
#include "network/topology_builders.hpp"

namespace orrery {
namespace {

using Words = std::vector<std::string>;

// Colours and underlining of a terminal are taken out.
Words words_of(const std::string& line) {
    std::string plain;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '\x1b') {
            while (i < line.size() && line[i] != 'm') ++i;
        } else {
            plain += line[i];
        }
    }
    std::istringstream in(plain);
    Words words;
    for (std::string word; in >> word;) words.push_back(word);
    return words;
}

bool is_device(const std::string& word) {
    const auto digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
    for (const std::string_view kind : {"GPU", "NIC", "mlx5_"}) {
        if (word.starts_with(kind) && word.size() > kind.size() && digit(word[kind.size()])) {
            return true;
        }
    }
    return false;
}

struct Matrix {
    std::string file;
    Words devices;
    std::vector<Words> cells;  // [row][column]

    [[noreturn]] void fail(const std::string& row, const std::string& rule) const {
        throw InputError(fmt::format("{}: {}: {}", file, row, rule));
    }
    // NVLinks between two devices, 0 for none.
    int nvlinks(std::size_t a, std::size_t b) const {
        const std::string& cell = cells[a][b];
        return cell.starts_with("NV") ? std::stoi(cell.substr(2)) : 0;
    }
};

void check_cell(const Matrix& matrix, const std::string& row, const std::string& cell) {
    const bool nvlinks = cell.size() > 2 && cell.size() < 5 && cell.starts_with("NV") &&
                         std::all_of(cell.begin() + 2, cell.end(),
                                     [](unsigned char c) { return std::isdigit(c) != 0; });
    for (const char* known : {"X", "PIX", "PXB", "PHB", "NODE", "SYS"}) {
        if (cell == known) return;
    }
    if (!nvlinks) {
        matrix.fail(row, fmt::format("\"{}\": must be X, NV#, PIX, PXB, PHB, NODE or SYS", cell));
    }
}

Matrix read_matrix(std::string_view text, const std::string& name) {
    Matrix matrix{name, {}, {}};
    std::istringstream in{std::string(text)};
    for (std::string line; std::getline(in, line);) {
        const Words words = words_of(line);
        if (words.empty()) {
            if (!matrix.cells.empty()) break;  // the legend follows
            continue;
        }
        if (matrix.devices.empty()) {
            std::copy_if(words.begin(), words.end(), std::back_inserter(matrix.devices), is_device);
            if (matrix.devices.empty()) matrix.fail(words.front(), "must be a row of device names");
            continue;
        }
        if (!is_device(words.front())) continue;
        const std::size_t row = matrix.cells.size();
        if (row >= matrix.devices.size() || words.front() != matrix.devices[row] ||
            words.size() <= matrix.devices.size()) {
            matrix.fail(words.front(), "must be the next device's row, with a cell for each");
        }
        matrix.cells.emplace_back(
            words.begin() + 1,
            words.begin() + 1 + static_cast<std::ptrdiff_t>(matrix.devices.size()));
        for (const std::string& cell : matrix.cells.back()) check_cell(matrix, words.front(), cell);
    }
    if (matrix.cells.empty() || matrix.cells.size() != matrix.devices.size()) {
        matrix.fail("matrix", fmt::format("has {} rows for {} devices", matrix.cells.size(),
                                          matrix.devices.size()));
    }
    return matrix;
}

// For each device the first one that shares the place with it, directly or through others.
template <class Shares>
std::vector<std::size_t> places(const Matrix& matrix, Shares shares) {
    std::vector<std::size_t> place(matrix.devices.size());
    for (std::size_t i = 0; i < place.size(); ++i) place[i] = i;
    for (std::size_t i = 0; i < place.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (!shares(matrix.cells[i][j])) continue;
            const auto [low, high] = std::minmax(place[i], place[j]);
            std::replace(place.begin(), place.end(), std::size_t{high}, std::size_t{low});
        }
    }
    return place;
}

void add_nvlinks(Topology& topology, const Matrix& matrix, const std::vector<std::uint32_t>& nodes,
                 const ImportRates& rates) {
    std::vector<std::uint32_t> gpus;
    std::vector<int> counts;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (!matrix.devices[i].starts_with("GPU")) continue;
        gpus.push_back(nodes[i]);
        for (std::size_t j = 0; j < i; ++j) {
            if (matrix.devices[j].starts_with("GPU")) counts.push_back(matrix.nvlinks(i, j));
        }
    }
    const bool even = !counts.empty() && counts.front() > 0 &&
                      std::count(counts.begin(), counts.end(), counts.front()) ==
                          static_cast<std::ptrdiff_t>(counts.size());
    if (even && gpus.size() > 2) {
        add_nvlink_switch(topology, gpus, 0, 1, rates.nvlink_each * counts.front(), Seconds(0));
        return;
    }
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (const int links = matrix.nvlinks(i, j)) {
                topology.add_link(nodes[j], nodes[i], rates.nvlink_each * links, Seconds(0),
                                  LinkClass::nvlink);
            }
        }
    }
}

}  // namespace

Topology import_nvidia_smi(std::string_view text, const std::string& name,
                           const ImportRates& rates) {
    const Matrix matrix = read_matrix(text, name);
    Topology topology{.name = name, .nodes = {}, .links = {}, .endpoints = {}};
    std::vector<std::uint32_t> nodes;
    for (const std::string& device : matrix.devices) {
        nodes.push_back(device.starts_with("GPU") ? topology.add_endpoint(device)
                                                  : topology.add_node({NodeKind::bridge, device}));
    }
    add_nvlinks(topology, matrix, nodes, rates);
    const auto switches =
        places(matrix, [](const std::string& c) { return c == "PIX" || c == "PXB"; });
    // NV# hides where two GPUs meet on PCIe; only PCIe cells place a device.
    const auto sockets = places(matrix, [](const std::string& c) {
        return c == "PIX" || c == "PXB" || c == "PHB" || c == "NODE";
    });
    const BytesPerSecond slot = rates.pcie_lane * 16;
    std::map<std::size_t, std::uint32_t> bridges, hosts;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const auto host = hosts.try_emplace(sockets[i], 0);
        if (host.second) {
            host.first->second =
                topology.add_node({NodeKind::bridge, fmt::format("socket{}", hosts.size() - 1)});
        }
        const auto bridge = bridges.try_emplace(switches[i], 0);
        if (bridge.second) {
            bridge.first->second =
                topology.add_node({NodeKind::bridge, fmt::format("pcie{}", bridges.size() - 1)});
            topology.add_link(bridge.first->second, host.first->second, slot, Seconds(0),
                              LinkClass::pcie);
        }
        topology.add_link(nodes[i], bridge.first->second, slot, Seconds(0), LinkClass::pcie);
    }
    for (auto a = hosts.begin(); a != hosts.end(); ++a) {
        for (auto b = std::next(a); b != hosts.end(); ++b) {
            topology.add_link(a->second, b->second, rates.socket, Seconds(0), LinkClass::pcie);
        }
    }
    return topology;
}

}  // namespace orrery
