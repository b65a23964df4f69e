#include <cmath>

#include "collective/flow_algorithms.hpp"
#include "collective/flow_runner.hpp"

namespace orrery {
namespace {

struct Neighbours {
    std::uint32_t ranks;
    std::int64_t bytes;

    template <class Send>
    void begin(Send send) {
        for (std::uint32_t i = 0; i < ranks; ++i) send(i, (i + 1) % ranks, bytes, i);
    }
    template <class Send>
    void arrived(std::uint64_t, Send) {}
};

}  // namespace

SimDuration run_send_recv(RoutedNetwork& network, const FlowCollectiveRequest& request) {
    Neighbours neighbours{request.ranks, std::llround(request.bytes.value())};
    return run_messages(network, neighbours);
}

}  // namespace orrery
