#pragma once
// Runs an algorithm's messages on a network: `begin(send)` starts the first ones, `arrived(tag,
// send)` those that may follow a message. send(source, destination, bytes, tag) starts one now.

#include <cstdint>

#include "network/routed_network.hpp"

namespace orrery {

// Returns the time from the network's now() to the last arrival.
template <class Algorithm>
SimDuration run_messages(RoutedNetwork& network, Algorithm& algorithm) {
    const SimTime start = network.now();
    const auto send = [&](std::uint32_t source, std::uint32_t destination, std::int64_t bytes,
                          std::uint64_t tag) {
        network.start({.source = source,
                       .destination = destination,
                       .bytes = Bytes(static_cast<double>(bytes)),
                       .tag = tag},
                      network.now());
    };
    algorithm.begin(send);
    while (const auto next = network.next_completion()) {
        for (const Completion& done : network.advance_to(*next)) algorithm.arrived(done.tag, send);
    }
    return network.now() - start;
}

}  // namespace orrery
