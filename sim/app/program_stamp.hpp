#pragma once
// Version, commit and whether the tree was modified, as of the build.

#include "core/run_result.hpp"

namespace orrery {

ProgramStamp program_stamp();

}  // namespace orrery
