#pragma once
// Published request traces, plain or gzipped, line by line. Arrivals start at 0: the first
// request's time is taken off. What is wrong with a line is an InputError "file:line: rule";
// with skip_bad_lines such lines are passed over and counted.

#include <filesystem>
#include <functional>
#include <optional>

#include "serving/request.hpp"

namespace orrery {

struct TraceOptions {
    bool skip_bad_lines = false;
};

// Kimi's traces (Mooncake, FAST 2025): one JSON object a line with `timestamp` (ms),
// `input_length`, `output_length` and `hash_ids`, the names of the prompt's blocks of 512 tokens;
// the last block may be partial and is not reused. `priority` may stand beside them.
RequestStream mooncake_trace(const std::filesystem::path& file, TraceOptions options = {});

// Azure's traces (Splitwise, ISCA 2024): CSV with the columns TIMESTAMP ("2023-11-16
// 18:15:46.6805900", or seconds), ContextTokens, GeneratedTokens, by name.
RequestStream azure_trace(const std::filesystem::path& file, TraceOptions options = {});

// Lengths without arrivals (Vidur): CSV with num_prefill_tokens and num_decode_tokens, by name.
struct Lengths {
    std::int64_t prompt_tokens = 1;
    std::int64_t output_tokens = 1;
};
// After the last line it starts again. Throws InputError where the file has no line that is right.
std::function<Lengths()> length_trace(const std::filesystem::path& file, TraceOptions options = {});

}  // namespace orrery
