// orrery-closed-loop-compare MEASURED [PROFILE [DIRECTORY]]: what orrery-closed-loop measured
// beside the replay with PROFILE's prices. Needs no GPU.

#include <filesystem>
#include <iostream>

#include "calibrate/closed_loop/comparison.hpp"
#include "core/error.hpp"
#include "model/read_config.hpp"

int main(int argc, char** argv) {
    using namespace orrery;
    using namespace orrery::closed_loop;
    if (argc < 2 || argc > 4) {
        std::cerr << "usage: orrery-closed-loop-compare MEASURED [PROFILE [DIRECTORY]]\n"
                     "  PROFILE: a name in DIRECTORY/accelerators, or a path; h100_sxm5\n"
                     "  DIRECTORY: hw_profiles; read from the source root\n";
        return 2;
    }
    try {
        const std::string profile = argc > 2 ? argv[2] : "h100_sxm5";
        const std::filesystem::path directory = argc > 3 ? argv[3] : "hw_profiles";
        const MeasuredLoop measured = read_measured_loop(argv[1]);
        const OperatorTimeModel compute(load_accelerator(profile, directory));
        const CommunicationCost communication(load_cluster("h800_ib_2048", directory));
        const ModelSpec model = load_model("scenarios/models/deepseek_v3.json");
        std::cout << comparison_text(measured, profile,
                                     compare(measured, model, compute, communication));
        return 0;
    } catch (const InputError& e) {
        std::cerr << "orrery-closed-loop-compare: " << e.what() << "\n";
        return 2;
    }
}
