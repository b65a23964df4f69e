#pragma once
// Operators that a profile has no price for.

#include <string>
#include <vector>

#include "core/error.hpp"

namespace orrery {

// Thrown once everything that a run needs was asked for. `shapes` are entries of the file that
// `orrery-calibrate --missing` reads, each a JSON object on one line.
class MissingShapesError : public InputError {
  public:
    MissingShapesError(const std::string& line, std::vector<std::string> missing)
        : InputError(line), shapes(std::move(missing)) {}
    std::vector<std::string> shapes;
};

}  // namespace orrery
