#pragma once
// A stack of MoE layers over one micro-batch, or over two that hide each other's all-to-alls, as
// events on the replay machine: one rank, a compute and a communication stream.
//
//   single    attention | dispatch | experts | combine, one after the other; low latency: the
//             shared expert runs while dispatch is in flight
//   normal, two micro-batches A and B (prefill), compute order of layer l:
//             shared A, attention A, shared B, attention B, experts A, experts B   (shared experts:
//             of the layer before)
//     dispatch A flies beside attention B, dispatch B beside experts A, combine A beside experts B
//     and shared A, combine B beside attention A of the next layer; the kernel holds SMs and slows
//     what runs beside it
//   low latency, five stages (decode): in (norm, projections), core (core attention to router,
//     dispatch sent), shared, experts (dispatch received, experts, combine sent), combine received
//             core A, shared A, combine B, in B, experts A, core B, shared B, combine A, in A,
//             experts B
//     nothing in flight holds an SM; the kernels that send and receive run on the compute stream
// One communication stream: transfers share the NIC and go one at a time.
// Sources: deepseek-ai/open-infra-index, day 6 (two micro-batches in prefill; five stages in
// decode, attention split in two); sgl-project/sglang operations_strategy.py (the order of stages).

#include <cstdint>

#include "serving/kernel_prices.hpp"

namespace orrery {

// One micro-batch in one MoE layer.
struct MoeLayerTimes {
    PhaseTime in, core, out, shared, experts;  // core: core attention alone; out: to the router
    double dispatch = 0, combine = 0;          // s in flight
    double send = 0, receive = 0;              // s, low latency: kernels around each transfer
    bool low_latency = false;
};

// Seconds of `layers` such layers, every micro-batch alike. `batches` 1 or 2.
double moe_layers_time(const MoeLayerTimes& times, std::int64_t layers, int batches);
// The same without events: each instruction's end is worked out in seconds as the program is
// written. It may be, because a transfer stands in the program right behind the kernel that it
// waits for: whatever flies while a kernel runs has been written before it.
double quick_moe_layers_time(const MoeLayerTimes& times, std::int64_t layers, int batches);

}  // namespace orrery
