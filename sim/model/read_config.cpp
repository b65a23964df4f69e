#include "model/read_config.hpp"

#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/read_config_families.hpp"
#include "model/weights.hpp"

namespace orrery {

namespace model_config {

std::int64_t size_of(const ConfigNode& config, std::string_view key, std::int64_t at_most) {
    return config.at(key).as_integer(1, at_most);
}

std::int64_t size_or(const ConfigNode& config, std::string_view key, std::int64_t otherwise,
                     std::int64_t at_most) {
    const auto node = config.find(key);
    return node ? node->as_integer(1, at_most) : otherwise;
}

bool flag_or(const ConfigNode& config, std::string_view key, bool otherwise) {
    const auto node = config.find(key);
    return node ? node->as_bool() : otherwise;
}

std::int64_t layer_count(const ConfigNode& config) {
    return size_of(config, "num_hidden_layers", max_layers);
}

}  // namespace model_config

namespace {

using Reader = void (*)(const ConfigNode&, ModelSpec&);

const std::map<std::string, Reader, std::less<>>& readers() {
    static const std::map<std::string, Reader, std::less<>> table = {
        {"DeepseekV2ForCausalLM", model_config::read_deepseek},
        {"DeepseekV32ForCausalLM", model_config::read_deepseek},
        {"DeepseekV3ForCausalLM", model_config::read_deepseek},
        {"GptOssForCausalLM", model_config::read_gpt_oss},
        {"LlamaForCausalLM", model_config::read_dense},
        {"MistralForCausalLM", model_config::read_dense},
        {"MixtralForCausalLM", model_config::read_mixtral},
        {"Qwen2ForCausalLM", model_config::read_dense},
        {"Qwen2MoeForCausalLM", model_config::read_qwen_moe},
        {"Qwen3ForCausalLM", model_config::read_dense},
        {"Qwen3MoeForCausalLM", model_config::read_qwen_moe},
    };
    return table;
}

// "architectures": ["LlamaForCausalLM"]
std::string read_architecture(const ConfigNode& config) {
    const ConfigNode list = config.at("architectures");
    const std::vector<ConfigNode> names = list.elements();
    if (names.size() != 1) list.fail("must name one architecture");
    const std::string name = names.front().as_string();
    if (!readers().contains(name)) {
        names.front().fail(fmt::format("is not supported; supported are {}",
                                       fmt::join(supported_architectures(), ", ")));
    }
    return name;
}

// "fp8_block" for 128x128 blocks, else what the file calls it.
std::string read_weight_format(const ConfigNode& config) {
    if (const auto quantization = config.find("quantization_config")) {
        const std::string method = quantization->at("quant_method").as_string();
        if (method != "fp8") return method;
        return quantization->has("weight_block_size") ? "fp8_block" : "fp8_tensor";
    }
    auto type = config.find("torch_dtype");
    if (!type) type = config.find("dtype");
    if (!type) return "bf16";
    const std::string name = type->as_string();
    if (name == "bfloat16") return "bf16";
    if (name == "float16") return "fp16";
    if (name == "float32") return "fp32";
    return name;
}

// Counts are 64-bit integers; a model far beyond any real one is a slip of the pen.
void check_size(const ConfigNode& config, const ModelSpec& model) {
    double parameters = 0;
    for (const LayerSpec& layer : model.layers) {
        for (const Weight& w : layer_weights(model, layer)) {
            parameters += static_cast<double>(w.rows) * static_cast<double>(w.columns) *
                          static_cast<double>(w.copies);
        }
    }
    if (parameters > 1e15) {
        config.at("num_hidden_layers")
            .fail(fmt::format("its layers hold {:.3g} parameters, must be <= 1e15", parameters));
    }
}

std::string name_from_file(const std::filesystem::path& file) {
    const bool generic = file.stem() == "config" && file.has_parent_path();
    return (generic ? std::filesystem::absolute(file).parent_path().filename() : file.stem())
        .string();
}

}  // namespace

const std::vector<std::string>& supported_architectures() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> result;
        for (const auto& [name, reader] : readers()) result.push_back(name);
        return result;
    }();
    return names;
}

ModelSpec read_model_config(const ConfigNode& config, const std::string& name) {
    using model_config::flag_or, model_config::size_of;
    if (!config.is_object()) config.fail("must be an object: the config.json of a model");
    ModelSpec model;
    model.name = name.empty() ? name_from_file(config.file()) : name;
    model.architecture = read_architecture(config);
    model.hidden = size_of(config, "hidden_size");
    model.vocabulary = size_of(config, "vocab_size", std::int64_t{1} << 26);
    model.tied_embeddings = flag_or(config, "tie_word_embeddings", false);
    model.weight_format = read_weight_format(config);
    readers().find(model.architecture)->second(config, model);
    check_size(config, model);
    config.accept_all();
    return model;
}

ModelSpec load_model(const std::filesystem::path& file) {
    return read_model_config(ConfigNode::load(file));
}

}  // namespace orrery
