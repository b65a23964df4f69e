// Stands in for calibrate/gpu where nvcc, cuBLASLt or CUPTI was missing when this was built.
#include "calibrate/calibration.hpp"

#include "core/error.hpp"

namespace orrery::calibrate {

void run_calibration(const RunRequest&, const Keep&) {
    throw InputError(
        "this orrery-calibrate was built without CUDA (nvcc, cuBLASLt and CUPTI): it lists "
        "families "
        "(--list) and turns measurements into a profile (--from), but cannot measure");
}

}  // namespace orrery::calibrate
