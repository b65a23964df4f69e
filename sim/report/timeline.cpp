#include "report/timeline.hpp"

#include <iterator>
#include <set>

#include <fmt/format.h>

#include "report/atomic_file.hpp"
#include "report/json_writer.hpp"

namespace orrery {
namespace {

// Picoseconds as microseconds with every digit.
std::string microseconds(std::int64_t ps) {
    constexpr std::int64_t kPerMicrosecond = 1'000'000;
    return fmt::format("{}.{:06}", ps / kPerMicrosecond, ps % kPerMicrosecond);
}

// Events separated by commas, one a line, handed to the file in pieces.
class EventList {
  public:
    explicit EventList(AtomicFile& file) : file_(file) {
        file_.write("{\"displayTimeUnit\": \"ns\", \"traceEvents\": [");
    }
    void add(const std::string& event) {
        pending_ += first_ ? "\n" : ",\n";
        pending_ += event;
        first_ = false;
        if (pending_.size() > (1U << 16)) flush();
    }
    void finish() {
        pending_ += "\n]}\n";
        flush();
    }

  private:
    void flush() {
        file_.write(pending_);
        pending_.clear();
    }
    AtomicFile& file_;
    std::string pending_;
    bool first_ = true;
};

void add_names(EventList& events, const Timeline& timeline) {
    std::set<std::int32_t> ranks;
    for (const TimelineTrack& track : timeline.tracks) {
        if (ranks.insert(track.rank).second) {
            events.add(fmt::format(R"({{"ph":"M","name":"process_name","pid":{0},)"
                                   R"("args":{{"name":"rank {0}"}}}})",
                                   track.rank));
            events.add(fmt::format(R"({{"ph":"M","name":"process_sort_index","pid":{0},)"
                                   R"("args":{{"sort_index":{0}}}}})",
                                   track.rank));
        }
        events.add(fmt::format(R"({{"ph":"M","name":"thread_name","pid":{},"tid":{},)"
                               R"("args":{{"name":{}}}}})",
                               track.rank, track.stream, json_quoted(track.name)));
        events.add(fmt::format(R"({{"ph":"M","name":"thread_sort_index","pid":{0},"tid":{1},)"
                               R"("args":{{"sort_index":{1}}}}})",
                               track.rank, track.stream));
    }
}

}  // namespace

void write_timeline(const Timeline& timeline, const std::filesystem::path& path) {
    AtomicFile file(path);
    EventList events(file);
    add_names(events, timeline);
    for (const Span& span : timeline.spans) {
        events.add(fmt::format(
            R"({{"ph":"X","pid":{},"tid":{},"ts":{},"dur":{},"name":{},"cat":{},"args":{{"detail":{}}}}})",
            span.rank, span.stream, microseconds(span.start_ps), microseconds(span.duration_ps),
            json_quoted(span.name), json_quoted(span.category), json_quoted(span.detail)));
    }
    events.finish();
    file.commit();
}

}  // namespace orrery
