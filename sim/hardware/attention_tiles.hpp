#pragma once
// Time of an attention kernel from its tiles, up to one constant that a measurement gives.
//
//   t = f + sqrt(s^2 + m^2)
//     s  tiles of 128 queries (backward: 128 keys) are dealt to the SMs one at a time, head after
//        head; a tile takes u (1/2 + n), n its blocks of 128 x 128 pairs that the mask leaves
//        (backward: 128 keys x 64 queries count half), 1/2 for its start and end. u: seconds a
//        block. Above 4,000 tiles: the mean over the SMs and half of the largest tile.
//     m  0.8 bytes / copy bandwidth: operands and results once, and with fewer key heads than query
//        heads the backward pass' gradients of every query head, written and read once more
//     f  3.5 us: launch, first loads, last stores
//
// The form is that of cuDNN's and FlashAttention's kernels (one CTA an SM, tiles of 128); the three
// numbers were chosen by hand and not fitted: what the form misses is read from measured shapes
// beside it (attention_time.hpp).

#include "core/quantity.hpp"
#include "hardware/operator.hpp"

namespace orrery {

struct AttentionTiles {
    double sms;             // of the device
    double copy_bandwidth;  // bytes per second

    // s / u: blocks on the path of the SM that ends last. a.query_length, key_length >= 1.
    double longest_path(const Attention& a) const;
    // t for a unit u, seconds.
    double time(const Attention& a, double unit) const;
    // u that gives t, from a measured time; at least half of what t has above m and f.
    double unit(const Attention& a, double seconds) const;
};

// Multiply-adds of one pair of a query and a key: u is proportional to it between head dims.
double attention_pair_work(const Attention& a);

}  // namespace orrery
