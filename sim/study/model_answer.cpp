#include "study/model_answer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "model/read_config.hpp"

namespace orrery {

namespace {

bool same(const LayerAccount& a, const LayerAccount& b) {
    return a.kind == b.kind && a.parameters == b.parameters && a.active == b.active &&
           a.forward_flops == b.forward_flops && a.kv_bytes == b.kv_bytes;
}

std::vector<LayerGroup> group(const std::vector<LayerAccount>& layers) {
    std::vector<LayerGroup> groups;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        auto at = std::find_if(groups.begin(), groups.end(),
                               [&](const LayerGroup& g) { return same(g.account, layers[i]); });
        if (at == groups.end()) at = groups.insert(groups.end(), {layers[i], {}});
        at->layers.push_back(i);
    }
    return groups;
}

}  // namespace

KvType parse_kv_type(std::string_view name) {
    for (const KvType& type : {KvType{"bf16", 2}, {"fp16", 2}, {"fp8", 1}, {"fp32", 4}}) {
        if (name == type.name) return type;
    }
    throw InputError(fmt::format("--kv-dtype {}: must be bf16, fp16, fp8 or fp32", name));
}

ModelAnswer answer_model(const std::filesystem::path& config, std::int64_t sequence_length,
                         const KvType& kv_type) {
    constexpr std::int64_t longest = std::int64_t{1} << 30;
    if (sequence_length < 1 || sequence_length > longest) {
        throw InputError(
            fmt::format("--seq-len {}: must be from 1 to {} tokens", sequence_length, longest));
    }
    ModelAnswer answer;
    answer.model = load_model(config);
    answer.sequence_length = sequence_length;
    answer.kv_type = kv_type;
    answer.parameters = count_parameters(answer.model);
    answer.flops = flops_per_token(answer.model, sequence_length);
    answer.kv_bytes_per_token = kv_bytes_per_token(answer.model, kv_type.bytes);
    answer.weights_bf16 = weight_bytes_bf16(answer.model);
    answer.weights_as_published = weight_bytes_as_published(answer.model);
    answer.layers = account_layers(answer.model, sequence_length, kv_type.bytes);
    answer.groups = group(answer.layers);
    for (std::size_t i = 0; i < answer.layers.size(); ++i) {
        const std::int64_t window = answer.model.layers[i].attention.sliding_window;
        const std::int64_t tokens =
            window > 0 ? std::min(window, sequence_length) : sequence_length;
        answer.kv_bytes_per_sequence += tokens * answer.layers[i].kv_bytes;
    }
    return answer;
}

std::string layer_list(const std::vector<std::size_t>& layers) {
    std::string text;
    for (std::size_t i = 0; i < layers.size();) {
        // The longest even spacing from here on.
        const std::size_t step = i + 1 < layers.size() ? layers[i + 1] - layers[i] : 1;
        std::size_t last = i;
        while (last + 1 < layers.size() && layers[last + 1] - layers[last] == step) ++last;
        if (!text.empty()) text += ", ";
        if (step == 1 && last > i) {
            text += fmt::format("{}-{}", layers[i], layers[last]);
        } else if (last - i >= 3) {
            text += fmt::format("{}, {}, ..., {}", layers[i], layers[i + 1], layers[last]);
        } else {
            last = i;
            text += fmt::format("{}", layers[i]);
        }
        i = last + 1;
    }
    return text;
}

}  // namespace orrery
