#include "serving/trace_reader.hpp"

#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "serving/trace_fields.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kMooncakeBlock = 512;  // tokens
constexpr std::int64_t kMicro = 1'000'000;    // ps of a us
constexpr std::int64_t kDay = std::int64_t{86400} * 1'000'000 * kMicro;
constexpr std::int64_t kLongestDays = 100;
constexpr std::int64_t kMilli = 1'000'000'000;

// A trace open for reading: its lines, and what all formats need of the lines before.
struct OpenTrace {
    LineReader reader;
    TraceOptions options;
    std::vector<std::size_t> columns = {};
    std::size_t header_fields = 0;
    std::vector<std::string_view> fields = {};
    std::vector<std::uint64_t> blocks = {};
    std::int64_t first_ps = 0, last_ps = 0;
    std::int64_t first_day = 0;  // of timestamps with a date
    std::int64_t skipped = 0;
    bool any = false;

    // Takes a time off the first, and refuses one that goes back.
    SimTime arrival(std::int64_t ps) {
        if (!any) {
            any = true;
            first_ps = last_ps = ps;
        }
        if (ps < last_ps) {
            reader.fail(fmt::format("arrives {} us before the line above: must be sorted by time",
                                    (last_ps - ps) / kMicro));
        }
        last_ps = ps;
        return SimTime{ps - first_ps};
    }
};

// Lines to requests by `parse(trace, line)`, bad ones skipped where asked for.
template <class T, class Parse>
std::optional<T> next_of(OpenTrace& trace, const Parse& parse) {
    while (true) {
        try {
            const auto line = trace.reader.next();
            if (!line) return std::nullopt;
            if (line->empty()) continue;
            return parse(trace, *line);
        } catch (const LineError&) {
            if (!trace.options.skip_bad_lines) throw;
            ++trace.skipped;
        }
    }
}

template <class Parse>
RequestStream stream_of(std::shared_ptr<OpenTrace> trace, std::int64_t block_tokens, Parse parse) {
    RequestStream stream;
    stream.next = [trace, parse] { return next_of<Request>(*trace, parse); };
    stream.skipped = [trace] { return trace->skipped; };
    stream.block_tokens = block_tokens;
    return stream;
}

// A wrong header is an error even where bad lines are skipped.
void read_header(OpenTrace& trace, const std::vector<std::string_view>& names) {
    const auto line = trace.reader.next();
    if (!line) {
        throw InputError(
            fmt::format("{}: must have a header line, is empty", trace.reader.file().string()));
    }
    split_fields(*line, trace.fields);
    trace.columns = find_columns(trace.reader, trace.fields, names);
    trace.header_fields = trace.fields.size();
}

// A line with more fields than the header has columns was cut in other places than meant.
void split_row(OpenTrace& trace, std::string_view line) {
    split_fields(line, trace.fields);
    if (trace.fields.size() > trace.header_fields) {
        trace.reader.fail(fmt::format("has {} fields: must have the header's {}",
                                      trace.fields.size(), trace.header_fields));
    }
}

Request parse_mooncake(OpenTrace& trace, std::string_view line) {
    FlatObject object(trace.reader, line);
    const LineReader& reader = trace.reader;
    Request request;
    std::optional<std::int64_t> time, prompt, output;
    const auto whole = [&](std::string_view key, std::int64_t at_least, std::int64_t at_most) {
        const std::string_view text = object.number();
        const auto value = parse_whole(text);
        if (!value || *value < at_least || *value > at_most) {
            reader.fail(fmt::format("{} = {}: must be a whole number from {} to {}", key,
                                    text.substr(0, 40), at_least, at_most));
        }
        return *value;
    };
    trace.blocks.clear();
    const auto once = [&](std::string_view key, bool before) {
        if (before) reader.fail(fmt::format("{} is given twice", key));
    };
    bool any_blocks = false, any_priority = false;
    while (const auto key = object.next_key()) {
        if (*key == "timestamp") {
            once(*key, time.has_value());
            time = whole(*key, 0, 9'000'000'000);
        } else if (*key == "input_length") {
            once(*key, prompt.has_value());
            prompt = whole(*key, 1, kMostTokens);
        } else if (*key == "output_length") {
            once(*key, output.has_value());
            output = whole(*key, 1, kMostTokens);
        } else if (*key == "priority") {
            once(*key, std::exchange(any_priority, true));
            request.priority = static_cast<std::int32_t>(whole(*key, 0, 7));
        } else if (*key == "hash_ids") {
            once(*key, std::exchange(any_blocks, true));
            object.integers(trace.blocks);
        } else {
            object.pass_over();
        }
    }
    if (!time) reader.fail("timestamp is missing");
    if (!prompt) reader.fail("input_length is missing");
    if (!output) reader.fail("output_length is missing");
    const std::int64_t blocks = static_cast<std::int64_t>(trace.blocks.size());
    if (blocks > (*prompt + kMooncakeBlock - 1) / kMooncakeBlock) {
        reader.fail(
            fmt::format("hash_ids names {} blocks of 512 tokens: must be at most the {} of "
                        "input_length",
                        blocks, (*prompt + kMooncakeBlock - 1) / kMooncakeBlock));
    }
    request.arrival = trace.arrival(*time * kMilli);
    request.prompt_tokens = *prompt;
    request.output_tokens = *output;
    request.blocks = trace.blocks;
    return request;
}

Request parse_azure(OpenTrace& trace, std::string_view line) {
    split_row(trace, line);
    const std::size_t column = trace.columns[0];
    if (column >= trace.fields.size()) trace.reader.fail("column TIMESTAMP is missing");
    const std::string_view text = trace.fields[column];
    std::optional<std::int64_t> time = parse_pico(text);
    if (const auto stamp = parse_timestamp(text)) {
        if (!trace.any) trace.first_day = stamp->day;
        if (std::abs(stamp->day - trace.first_day) > kLongestDays) {
            trace.reader.fail(fmt::format("TIMESTAMP = {}: must be within {} days of the first",
                                          text.substr(0, 40), kLongestDays));
        }
        time = (stamp->day - trace.first_day) * kDay + stamp->ps;
    } else if (!time || *time < 0) {
        trace.reader.fail(fmt::format(
            "TIMESTAMP = {}: must be \"YYYY-MM-DD hh:mm:ss.fffffff\" or seconds from 0 to 9e6",
            text.substr(0, 40)));
    }
    Request request;
    request.prompt_tokens =
        whole_at(trace.reader, trace.fields, trace.columns[1], "ContextTokens", 1);
    request.output_tokens =
        whole_at(trace.reader, trace.fields, trace.columns[2], "GeneratedTokens", 1);
    request.arrival = trace.arrival(*time);
    return request;
}

Lengths parse_lengths(OpenTrace& trace, std::string_view line) {
    split_row(trace, line);
    return {whole_at(trace.reader, trace.fields, trace.columns[0], "num_prefill_tokens", 1),
            whole_at(trace.reader, trace.fields, trace.columns[1], "num_decode_tokens", 1)};
}

}  // namespace

RequestStream mooncake_trace(const std::filesystem::path& file, TraceOptions options) {
    auto trace = std::make_shared<OpenTrace>(OpenTrace{LineReader(file), options});
    return stream_of(std::move(trace), kMooncakeBlock, parse_mooncake);
}

RequestStream azure_trace(const std::filesystem::path& file, TraceOptions options) {
    auto trace = std::make_shared<OpenTrace>(OpenTrace{LineReader(file), options});
    read_header(*trace, {"TIMESTAMP", "ContextTokens", "GeneratedTokens"});
    return stream_of(std::move(trace), 0, parse_azure);
}

std::function<Lengths()> length_trace(const std::filesystem::path& file, TraceOptions options) {
    const auto open = [file, options] {
        auto trace = std::make_shared<OpenTrace>(OpenTrace{LineReader(file), options});
        read_header(*trace, {"num_prefill_tokens", "num_decode_tokens"});
        return trace;
    };
    return [open, trace = open()]() mutable {
        for (int pass = 0; pass < 2; ++pass) {
            if (const auto lengths = next_of<Lengths>(*trace, parse_lengths)) return *lengths;
            trace = open();
        }
        throw InputError(
            fmt::format("{}: must have a line with lengths", trace->reader.file().string()));
    };
}

}  // namespace orrery
