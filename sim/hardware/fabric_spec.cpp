#include "hardware/fabric_spec.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kMost = 1'000'000;

void read_count(const ConfigNode& node, const char* key, std::int64_t& value,
                std::int64_t at_least = 1, std::int64_t at_most = kMost) {
    if (const auto member = node.find(key)) value = member->as_integer(at_least, at_most);
}

void read_fat_tree(const ConfigNode& node, FabricSpec& fabric) {
    read_count(node, "switch_ports", fabric.switch_ports, 2);
    read_count(node, "layers", fabric.layers, 2, 3);
    read_count(node, "planes", fabric.planes);
    if (const auto rails = node.find("rails")) fabric.rails = rails->as_bool();
    if (const auto ratio = node.find("oversubscription")) {
        fabric.oversubscription = ratio->as_number();
        if (!(fabric.oversubscription >= 1 && fabric.oversubscription <= 64)) {
            ratio->fail("must be from 1 to 64");
        }
    }
    if (fabric.rails && fabric.planes > 1) {
        node.at("rails").fail("must be false where there are several planes: each is a rail");
    }
}

void read_failures(const ConfigNode& node, FabricSpec& fabric) {
    for (const ConfigNode& element : node.elements()) {
        if (element.is_string()) {
            fabric.fail.push_back({element.as_string(), 0.0});
            continue;
        }
        const double left = element.at("left").as_number();
        if (!(left >= 0 && left <= 1)) element.at("left").fail("must be from 0 to 1");
        fabric.fail.push_back({element.at("what").as_string(), left});
        element.reject_unknown_keys();
    }
}

}  // namespace

FabricSpec read_fabric(const ConfigNode& node, const std::filesystem::path& directory) {
    FabricSpec fabric;
    fabric.kind = node.at("kind").as_string();
    if (fabric.kind == "fat_tree") {
        read_fat_tree(node, fabric);
    } else if (fabric.kind == "slim_fly") {
        fabric.q = node.at("q").as_integer(3, 256);
    } else if (fabric.kind == "dragonfly") {
        fabric.p = node.at("p").as_integer(1, 1024);
        fabric.a = node.at("a").as_integer(1, 1024);
        fabric.h = node.at("h").as_integer(1, 1024);
        fabric.groups = node.at("groups").as_integer(1, kMost);
    } else if (fabric.kind == "graph") {
        fabric.file = directory / node.at("file").as_string();
    } else if (fabric.kind != "crossbar") {
        node.at("kind").fail(
            "must be \"crossbar\", \"fat_tree\", \"slim_fly\", \"dragonfly\" or \"graph\"");
    }
    if (const auto latency = node.find("same_leaf_latency")) {
        fabric.same_leaf_latency = latency->as_sourced<Seconds>();
    }
    if (const auto fail = node.find("fail")) read_failures(*fail, fabric);
    fabric.from = node.provenance();
    node.reject_unknown_keys();
    return fabric;
}

}  // namespace orrery
