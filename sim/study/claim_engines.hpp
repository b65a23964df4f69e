#pragma once
// What the claims share: the validation cases' engines, changed and timed. Internal to study.

#include <memory>
#include <string>

#include "study/iteration_scenario.hpp"
#include "study/serving_claims.hpp"

namespace orrery {

inline IterationScenario claim_case(const ClaimRequest& request, const std::string& name) {
    return read_iteration_scenario(load_scenario(request.cases / (name + ".json"), {}),
                                   request.profiles);
}
inline const EngineSpec& engine_of(const IterationScenario& s) {
    return s.deployment.pools[s.pool].engine;
}
using SharedPrices = std::shared_ptr<const OperatorTimeModel>;
inline SharedPrices prices_of(const IterationScenario& s) {
    return std::make_shared<const OperatorTimeModel>(s.accelerator);
}
// Seconds of one iteration.
inline double seconds(const EngineSpec& engine, const SharedPrices& prices, const Iteration& it) {
    return IterationTime(engine, prices).parts(it).total;
}
inline void tell(const ClaimRequest& request, const std::string& what) {
    if (request.progress) request.progress(what);
}
inline Cell share(double value) { return Cell(value); }

}  // namespace orrery
