#pragma once
// What a run answers, free of formatting: the report writers know this type and nothing else.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/sourced.hpp"

namespace orrery {

// One named answer. Names are stable and documented in reports/README.md.
struct Metric {
    std::string name;  // "step_time"
    double value = 0;  // in base units
    std::string unit;  // "s", "B", "USD", "h", "tokens/day", "1" (also for true/false as 1/0)
    Origin origin = Origin::assumed;  // weakest number underneath
    std::string title;                // "time per step", for people
};

// A figure somebody published, to be compared with a metric of the same name; never an input.
struct PublishedFigure {
    std::string metric;        // Metric::name
    double value = 0;          // in the metric's base unit
    std::string citation;      // where it was printed
    std::string note;          // how the two differ in meaning, where they do
    bool calibration = false;  // it set the model's constants: shown, not counted as a test of it
};

using Cell = std::variant<std::monostate, std::string, double, std::int64_t>;
struct ResultColumn {
    std::string name;
    std::string unit;  // base unit of numbers in the column; empty for text and counts
};
// A part of the breakdown: per rank, per operator class, per memory owner.
struct ResultTable {
    std::string name;   // key in result.json: "per_rank"
    std::string title;  // heading for people
    std::vector<ResultColumn> columns;
    std::vector<std::vector<Cell>> rows;
};

// A hardware number the run consumed.
struct SourceUsed {
    std::string name;   // "gemm table fp8_block"
    std::string value;  // "62 rows" or "400 GB/s"
    Provenance from;
};

// Which program produced the result, and how it was called.
struct ProgramStamp {
    std::string version;
    std::string commit;
    bool dirty = false;
    std::vector<std::string> command_line = {};
};

// A file or directory the run read.
struct InputFile {
    std::string path;
    std::string hash;  // of its bytes, hexadecimal
};

struct RunResult {
    std::string scenario;         // name
    std::string kind;             // "training", "serving" or "expert_all_to_all"
    std::string given;            // settings as given (JSON text)
    std::string used;             // settings with every default filled in (JSON text)
    std::vector<Metric> metrics;  // in print order
    std::vector<PublishedFigure> published;
    // Overrides given beside the scenario's file ("plan.pp=8"). With any, `published` describes the
    // scenario as shipped, not this run.
    std::vector<std::string> changed = {};
    std::vector<ResultTable> breakdown;
    std::vector<std::string>
        notes;  // sentences for the reader: what overflows, what is not modelled
    std::vector<SourceUsed> sources;
    // Operators priced far from every row of the profile's tables: entries of the file that
    // `orrery-calibrate --missing` reads, each a JSON object.
    std::vector<std::string> missing_shapes = {};
    std::vector<InputFile> inputs;
    std::int64_t events = 0;
    std::int64_t operators = 0;        // of all ranks represented, folded or not
    std::int64_t ranks = 0;            // ranks represented
    std::int64_t ranks_simulated = 0;  // after folding
    std::string fingerprint;           // hexadecimal
    ProgramStamp program;
    double wall_seconds = 0;  // time the simulation took; not part of the fingerprint

    const Metric* find(const std::string& name) const {
        for (const Metric& m : metrics) {
            if (m.name == name) return &m;
        }
        return nullptr;
    }
};

// One operator on a timeline.
struct Span {
    std::int32_t rank = 0;
    std::int32_t stream = 0;
    std::int64_t start_ps = 0;
    std::int64_t duration_ps = 0;
    std::string name;      // "layer 12 · q_b_proj"
    std::string category;  // operator class, or "wait"
    std::string detail;    // pass, micro-batch, origin
};
struct TimelineTrack {
    std::int32_t rank = 0;
    std::int32_t stream = 0;
    std::string name;  // "compute", "communication", "pipeline send"
};
struct Timeline {
    std::vector<TimelineTrack> tracks;
    std::vector<Span> spans;
};

}  // namespace orrery
