#include "serving/kv_share.hpp"

#include <algorithm>

namespace orrery {

std::int64_t kv_tokens(const KvShare& share, const DeployedPool& pool) {
    double always = 0;
    for (const MemoryItem& item : pool.memory) {
        if (item.name == "weights" || item.name == "runtime") always += item.bytes.value();
    }
    const double memory = pool.engine.accelerator.memory.value.value();
    const double held = pool.held().value();
    const double free = share.of_all * memory - (share.profiled ? held : always);
    const double bytes = std::min(share.of_free * free, memory - held);
    auto tokens = static_cast<std::int64_t>(std::max(bytes, 0.0) / pool.kv_bytes_per_token);
    if (share.most_tokens > 0) tokens = std::min(tokens, share.most_tokens);
    return tokens;
}

}  // namespace orrery
