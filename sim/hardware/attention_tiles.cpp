#include "hardware/attention_tiles.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <vector>

namespace orrery {

namespace {

constexpr std::int64_t kTile = 128, kMostTiles = 4000;
constexpr double kEdge = 0.5;      // of a tile, in blocks
constexpr double kStart = 3.5e-6;  // f, seconds
constexpr double kTraffic = 0.8;

double in_blocks(std::int64_t tokens, std::int64_t step) {
    return static_cast<double>(std::max<std::int64_t>(1, (tokens + step - 1) / step)) *
           static_cast<double>(step) / kTile;
}

// Blocks of every tile of one head, forward: the keys that its 128 queries may see.
std::vector<double> forward_blocks(const Attention& a) {
    std::vector<double> blocks;
    const std::int64_t behind = a.key_length - a.query_length;  // keys before query 0
    for (std::int64_t first = 0; first < a.query_length; first += kTile) {
        const std::int64_t last = std::min(first + kTile, a.query_length);
        const std::int64_t end = a.causal ? std::min(behind + last, a.key_length) : a.key_length;
        const std::int64_t begin =
            a.window > 0 ? std::max<std::int64_t>(0, behind + first + 1 - a.window) : 0;
        blocks.push_back(in_blocks(end - begin, kTile));
    }
    return blocks;
}

// Backward: the queries, 64 at a time, that may see its 128 keys. The last keys first: the order of
// the tiles is that of the forward pass.
std::vector<double> backward_blocks(const Attention& a) {
    std::vector<double> blocks;
    const std::int64_t behind = a.key_length - a.query_length;
    for (std::int64_t first = (a.key_length - 1) / kTile * kTile; first >= 0; first -= kTile) {
        const std::int64_t begin = a.causal ? std::max<std::int64_t>(0, first - behind) : 0;
        std::int64_t end = a.query_length;
        if (a.window > 0) end = std::min(end, first + kTile - 1 + a.window - behind);
        blocks.push_back(in_blocks(end - begin, kTile / 2));
    }
    return blocks;
}

double traffic_seconds(const Attention& a, double copy_bandwidth) {
    double all = bytes(Operator{"", a}).value();
    if (a.pass == AttentionPass::backward && a.key_heads < a.query_heads) {
        all += 4.0 * static_cast<double>(a.sequences * a.key_length * a.query_heads) *
               static_cast<double>(a.query_key_dim + a.value_dim);
    }
    return kTraffic * all / copy_bandwidth;
}

}  // namespace

double AttentionTiles::longest_path(const Attention& a) const {
    const std::vector<double> blocks =
        a.pass == AttentionPass::backward ? backward_blocks(a) : forward_blocks(a);
    const std::int64_t heads = std::max<std::int64_t>(1, a.sequences * a.query_heads);
    const std::int64_t tiles = heads * static_cast<std::int64_t>(blocks.size());
    if (tiles > kMostTiles) {
        double sum = 0, most = 0;
        for (const double n : blocks) sum += kEdge + n, most = std::max(most, n);
        return static_cast<double>(heads) * sum / sms + most / 2;
    }
    std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
    for (int sm = 0; sm < static_cast<int>(sms); ++sm) free_at.push(0);
    double end = 0;
    for (std::int64_t head = 0; head < heads; ++head) {
        for (const double n : blocks) {
            const double at = free_at.top() + kEdge + n;
            free_at.pop();
            free_at.push(at);
            end = std::max(end, at);
        }
    }
    return end;
}

double AttentionTiles::time(const Attention& a, double unit) const {
    return kStart + std::hypot(unit * longest_path(a), traffic_seconds(a, copy_bandwidth));
}

double AttentionTiles::unit(const Attention& a, double seconds) const {
    const double above = std::max(seconds - kStart, seconds / 2);
    const double traffic = traffic_seconds(a, copy_bandwidth);
    const double squared = above * above - traffic * traffic;
    return std::max(above / 2, squared > 0 ? std::sqrt(squared) : 0) / longest_path(a);
}

double attention_pair_work(const Attention& a) {
    const double dim = static_cast<double>(a.query_key_dim);
    const double value = static_cast<double>(a.value_dim);
    return a.pass == AttentionPass::backward ? 3 * dim + 2 * value : dim + value;
}

}  // namespace orrery
