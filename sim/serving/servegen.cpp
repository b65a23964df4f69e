// ServeGen's client statistics as requests (workload.hpp).
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <queue>

#include <fmt/format.h>

#include "core/config.hpp"
#include "core/error.hpp"
#include "core/line_reader.hpp"
#include "serving/workload.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

struct Window {
    double begin = 0;         // s
    ArrivalProcess arrivals;  // rate 0: none arrive
};
struct Block {
    double begin = 0;  // s
    LengthDistribution prompt, output;
};
struct Client {
    std::vector<Window> windows;
    std::vector<Block> blocks;
};

[[noreturn]] void fail(const std::string& file, std::size_t line, std::string_view rule) {
    throw InputError(fmt::format("{}:{}: {}", file, line, rule));
}

double number_at(const std::string& file, std::size_t line, std::string_view text,
                 std::string_view name) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value >= 0) || value > 1e12) {
        fail(file, line, fmt::format("{} = {}: must be a number from 0", name, text.substr(0, 40)));
    }
    return value;
}

std::vector<std::string_view> cut(std::string_view line) {
    std::vector<std::string_view> fields;
    while (true) {
        const std::size_t comma = line.find(',');
        fields.push_back(line.substr(0, comma));
        if (comma == std::string_view::npos) return fields;
        line.remove_prefix(comma + 1);
    }
}

std::vector<Window> read_windows(const std::string& file, std::string_view text) {
    std::vector<Window> windows;
    for (std::size_t line = 1; !text.empty(); ++line) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view row = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (row.ends_with('\r')) row.remove_suffix(1);
        if (row.empty()) continue;
        const auto fields = cut(row);
        if (fields.size() != 6) fail(file, line, "must have 6 columns");
        Window window{.begin = number_at(file, line, fields[0], "window start"), .arrivals = {}};
        ArrivalProcess& arrivals = window.arrivals;
        arrivals.rate = number_at(file, line, fields[1], "rate");
        if (!windows.empty() && window.begin <= windows.back().begin) {
            fail(file, line, "window start must be above that of the line before");
        }
        if (arrivals.rate > 0) {
            if (fields[3] == "Gamma" || fields[3] == "Weibull") {
                arrivals.family =
                    fields[3] == "Gamma" ? ArrivalFamily::gamma : ArrivalFamily::weibull;
                arrivals.shape = std::max(1e-3, number_at(file, line, fields[4], "shape"));
            } else if (!fields[3].empty()) {
                fail(file, line, "arrival family must be Gamma, Weibull or empty");
            }
        }
        windows.push_back(window);
    }
    if (windows.empty()) throw InputError(fmt::format("{}: must have a window", file));
    return windows;
}

// "{45: 0.0096, 46: 0.0117}"
LengthDistribution read_histogram(const ConfigNode& node) {
    const std::string text = node.as_string();
    std::string_view rest = text;
    std::vector<std::pair<std::int64_t, double>> weights;
    const auto wrong = [&] { node.fail("must be {tokens: weight, ...}"); };
    const auto read = [&] {
        while (!rest.empty() && (rest.front() == ' ' || rest.front() == ',')) {
            rest.remove_prefix(1);
        }
        double value = 0;
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
        if (error != std::errc()) wrong();
        rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
        return value;
    };
    if (!rest.starts_with('{') || !rest.ends_with('}')) wrong();
    rest = rest.substr(1, rest.size() - 2);
    while (!rest.empty()) {
        const double tokens = read();
        if (!rest.starts_with(':')) wrong();
        rest.remove_prefix(1);
        if (!(tokens >= 0 && tokens <= 1e9)) node.fail("must be of tokens from 0 to 1e9");
        weights.emplace_back(std::llround(tokens), read());
    }
    return histogram_length(std::move(weights), node.place());
}

std::vector<Block> read_blocks(const std::string& file, std::string_view text) {
    const ConfigNode root = ConfigNode::parse(text, file);
    std::vector<Block> blocks;
    for (const std::string& key : root.keys()) {
        const ConfigNode node = root.at(key);
        const ConfigNode input = node.at("input_tokens"), output = node.at("output_tokens");
        if (input.as_string() == "{}" || output.as_string() == "{}") continue;  // no requests
        blocks.push_back({number_at(file, 1, key, "window start"), read_histogram(input),
                          read_histogram(output)});
    }
    std::sort(blocks.begin(), blocks.end(),
              [](const Block& a, const Block& b) { return a.begin < b.begin; });
    return blocks;
}

std::vector<ArchiveMember> read_files(const fs::path& source) {
    if (!fs::is_directory(source)) return read_tar(source);
    std::vector<ArchiveMember> members;
    for (const auto& entry : fs::directory_iterator(source)) {
        members.push_back({entry.path().filename().string(),
                           read_text_file(entry.path(), "a file of ServeGen's")});
    }
    return members;
}

// Clients in order of their number, so that a workload does not depend on a directory's order.
std::vector<Client> read_clients(const fs::path& source) {
    std::map<std::int64_t, std::pair<std::string, std::string>> files;  // trace, dataset
    std::map<std::int64_t, Client> clients;
    for (ArchiveMember& member : read_files(source)) {
        const std::string name = fs::path(member.name).filename().string();
        if (!name.starts_with("chunk-")) continue;
        std::int64_t number = 0;
        const auto [end, error] =
            std::from_chars(name.data() + 6, name.data() + name.size(), number);
        if (error != std::errc()) continue;
        const std::string file = (source / name).string();
        const std::string_view kind(end);
        if (kind == "-trace.csv") clients[number].windows = read_windows(file, member.text);
        if (kind == "-dataset.json") clients[number].blocks = read_blocks(file, member.text);
    }
    std::vector<Client> list;
    for (auto& [number, client] : clients) {
        if (client.windows.empty()) {
            throw InputError(
                fmt::format("{}: chunk-{}-trace.csv is missing", source.string(), number));
        }
        if (!client.blocks.empty()) list.push_back(std::move(client));
    }
    if (list.empty()) {
        throw InputError(fmt::format("{}: must hold chunk-N-trace.csv and chunk-N-dataset.json",
                                     source.string()));
    }
    return list;
}

// One client at work: the time of its next arrival, window by window.
struct Walker {
    const Client* client;
    Draws times, prompt, output;
    std::size_t window = 0;
    double now = 0;  // s, of the day

    // False once the day is over.
    bool advance(const ServeGenOptions& options) {
        while (window < client->windows.size()) {
            const bool last = window + 1 == client->windows.size();
            const double end =
                last ? options.end_seconds
                     : std::min(options.end_seconds, client->windows[window + 1].begin);
            ArrivalProcess arrivals = client->windows[window].arrivals;
            arrivals.rate *= options.rate_scale;
            if (arrivals.rate > 0 && now < end) {
                now += draw_distance(arrivals, times);
                if (now < end) return true;
            }
            now = std::max(now, end);
            if (!last) now = std::max(client->windows[window + 1].begin, options.begin_seconds);
            ++window;
        }
        return false;
    }
    const Block& block() const {
        const Block* found = &client->blocks.front();
        for (const Block& b : client->blocks) {
            if (b.begin <= now) found = &b;
        }
        return *found;
    }
};

struct Day {
    std::vector<Client> clients;
    ServeGenOptions options;
    std::vector<Walker> walkers = {};
    using Next = std::pair<double, std::size_t>;  // time, walker
    std::priority_queue<Next, std::vector<Next>, std::greater<>> queue = {};

    void start() {
        for (std::size_t i = 0; i < clients.size(); ++i) {
            const std::uint64_t stream = 16 + 4 * i;
            const std::uint64_t seed = options.seed;
            Walker walker{&clients[i], {seed, stream}, {seed, stream + 1}, {seed, stream + 2}};
            walker.now = std::max(options.begin_seconds, clients[i].windows.front().begin);
            while (walker.window + 1 < clients[i].windows.size() &&
                   clients[i].windows[walker.window + 1].begin <= walker.now) {
                ++walker.window;
            }
            walkers.push_back(walker);
            if (walkers.back().advance(options)) queue.emplace(walkers.back().now, i);
        }
    }
    std::optional<Request> next() {
        if (queue.empty()) return std::nullopt;
        const auto [time, index] = queue.top();
        queue.pop();
        Walker& walker = walkers[index];
        Request request;
        request.arrival = SimTime{} + to_sim_duration(Seconds(time - options.begin_seconds));
        const Block& block = walker.block();
        request.prompt_tokens = draw_length(block.prompt, walker.prompt);
        request.output_tokens = draw_length(block.output, walker.output);
        if (walker.advance(options)) queue.emplace(walker.now, index);
        return request;
    }
};

}  // namespace

RequestStream servegen_stream(const fs::path& source, const ServeGenOptions& options) {
    auto day = std::make_shared<Day>(Day{read_clients(source), options});
    day->start();
    RequestStream stream;
    stream.next = [day] { return day->next(); };
    return stream;
}

}  // namespace orrery
