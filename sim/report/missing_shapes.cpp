#include "report/missing_shapes.hpp"

namespace orrery {

std::string missing_shapes_json(const std::set<std::string>& shapes) {
    std::string text = "{\"missing\": [";
    bool first = true;
    for (const std::string& shape : shapes) {
        text += (first ? "\n  " : ",\n  ") + shape;
        first = false;
    }
    return text + "\n]}\n";
}

}  // namespace orrery
