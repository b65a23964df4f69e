// NCCL's topology file: <system> of <cpu>s, each a tree of <pci> with <gpu> and <nic> leaves.

#include <map>
#include <sstream>

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <fmt/format.h>

#include "core/error.hpp"
#include "network/importers.hpp"

namespace orrery {
namespace {

using Tree = boost::property_tree::ptree;

constexpr const char* kBridgeClass = "0x068000";  // an NVSwitch, as a PCI device

class Importer {
  public:
    Importer(const std::string& name, const ImportRates& rates) : name_(name), rates_(rates) {
        topology_.name = name;
    }

    Topology import(const Tree& document) {
        const auto system = document.get_child_optional("system");
        if (!system) fail("<system>", "is missing");
        for (const auto& [tag, cpu] : *system) {
            if (tag == "cpu") add_cpu(cpu);
        }
        if (gpus_.empty()) fail("<system>", "has no <gpu>");
        for (const auto& [dev, gpu] : gpus_) topology_.endpoints.push_back(gpu.node);
        for (std::size_t a = 0; a < cpus_.size(); ++a) {
            for (std::size_t b = a + 1; b < cpus_.size(); ++b) {
                topology_.add_link(cpus_[a], cpus_[b], rates_.socket, Seconds(0), LinkClass::pcie);
            }
        }
        add_nvlinks();
        return std::move(topology_);
    }

  private:
    struct Gpu {
        std::uint32_t node = 0;
        std::string bus;
        std::map<std::string, int> nvlinks;  // target bus -> links; empty: NVLink switches
    };

    [[noreturn]] void fail(const std::string& what, const std::string& rule) const {
        throw InputError(fmt::format("{}: {}: {}", name_, what, rule));
    }

    std::string text(const Tree& tree, const char* tag, const char* attribute) const {
        const auto value = tree.get_optional<std::string>(std::string("<xmlattr>.") + attribute);
        if (!value) fail(fmt::format("<{}> {}", tag, attribute), "is missing");
        return *value;
    }
    double number(const Tree& tree, const char* tag, const char* attribute) const {
        const std::string value = text(tree, tag, attribute);
        std::istringstream in(value);  // "32.0 GT/s PCIe" begins with the number
        double result = 0;
        if (!(in >> result) || !(result > 0)) {
            fail(fmt::format("<{}> {} = {}", tag, attribute, value), "must be a number above 0");
        }
        return result;
    }

    void add_cpu(const Tree& cpu) {
        const std::uint32_t node =
            topology_.add_node({NodeKind::bridge, "cpu" + text(cpu, "cpu", "numaid"), 0,
                                static_cast<std::int32_t>(cpus_.size())});
        cpus_.push_back(node);
        add_devices(cpu, node);
    }

    void add_devices(const Tree& tree, std::uint32_t above) {
        for (const auto& [tag, child] : tree) {
            if (tag == "pci") add_pci(child, above);
            if (tag == "nic") add_nic(child, above);
        }
    }

    // A PCIe slot: GT/s x 128/130 / 8 bytes a lane; generations 1 and 2 (2.5, 5 GT/s) lose 20 %.
    void add_pci(const Tree& pci, std::uint32_t above) {
        const double speed = number(pci, "pci", "link_speed"),
                     width = number(pci, "pci", "link_width");
        const double coding = speed > 5 ? 128.0 / 130.0 : 0.8;
        const BytesPerSecond rate(speed * 1e9 * coding / 8 * width);
        const std::string bus = text(pci, "pci", "busid");
        const auto gpu = pci.get_child_optional("gpu");
        const std::uint32_t node =
            gpu ? add_gpu(*gpu, bus) : topology_.add_node({NodeKind::bridge, "pci " + bus});
        topology_.add_link(above, node, rate, Seconds(0), LinkClass::pcie);
        add_devices(pci, node);
    }

    std::uint32_t add_gpu(const Tree& tree, const std::string& bus) {
        const int dev = static_cast<int>(std::stol("0" + text(tree, "gpu", "dev")));
        if (gpus_.contains(dev)) fail(fmt::format("<gpu> dev = {}", dev), "must be given once");
        Gpu gpu{topology_.add_node({NodeKind::endpoint, fmt::format("gpu{}", dev)}), bus, {}};
        for (const auto& [tag, link] : tree) {
            if (tag != "nvlink") continue;
            const bool to_switch = text(link, "nvlink", "tclass") == kBridgeClass;
            gpu.nvlinks[to_switch ? "" : text(link, "nvlink", "target")] +=
                static_cast<int>(number(link, "nvlink", "count"));
        }
        return gpus_.emplace(dev, std::move(gpu)).first->second.node;
    }

    void add_nic(const Tree& nic, std::uint32_t above) {
        for (const auto& [tag, net] : nic) {
            if (tag != "net") continue;
            const std::uint32_t node =
                topology_.add_node({NodeKind::bridge, "net " + text(net, "net", "name")});
            const BytesPerSecond rate(number(net, "net", "speed") * 1e6 / 8);  // Mbit/s
            topology_.add_link(above, node, rate, Seconds(0), LinkClass::pcie);
        }
    }

    void add_nvlinks() {
        std::map<std::string, std::uint32_t> by_bus;
        for (const auto& [dev, gpu] : gpus_) by_bus[gpu.bus] = gpu.node;
        std::uint32_t nvswitch = 0;
        bool has_switch = false;
        for (const auto& [dev, gpu] : gpus_) {
            for (const auto& [target, links] : gpu.nvlinks) {
                const BytesPerSecond rate = rates_.nvlink_each * links;
                if (target.empty()) {
                    if (!has_switch)
                        nvswitch = topology_.add_node({NodeKind::nvlink, "nvswitch", 1});
                    has_switch = true;
                    topology_.add_link(gpu.node, nvswitch, rate, Seconds(0), LinkClass::nvlink);
                    continue;
                }
                const auto other = by_bus.find(target);
                if (other == by_bus.end()) fail("<nvlink> target = " + target, "is no GPU's busid");
                // Both ends name the link.
                if (gpu.node < other->second) {
                    topology_.add_link(gpu.node, other->second, rate, Seconds(0),
                                       LinkClass::nvlink);
                }
            }
        }
    }

    std::string name_;
    ImportRates rates_;
    Topology topology_;
    std::vector<std::uint32_t> cpus_;
    std::map<int, Gpu> gpus_;  // by dev
};

}  // namespace

Topology import_nccl_xml(std::string_view text, const std::string& name, const ImportRates& rates) {
    Tree document;
    try {
        std::istringstream in{std::string(text)};
        boost::property_tree::read_xml(in, document);
    } catch (const boost::property_tree::xml_parser_error& error) {
        throw InputError(fmt::format("{}:{}: {}", name, error.line(), error.message()));
    }
    return Importer(name, rates).import(document);
}

}  // namespace orrery
