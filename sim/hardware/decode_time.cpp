#include "hardware/decode_time.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace orrery {

namespace {

constexpr std::int64_t kRowTile = 64;  // query rows that the latent kernel multiplies at a time

bool is_latent(const Attention& a) { return a.key_heads == 1 && a.query_key_dim > a.value_dim; }

Attention windowed(Attention a) {
    if (a.window > 0) a.key_length = std::min(a.key_length, a.window);
    a.window = 0;
    return a;
}

double query_rows(const Attention& a) {
    return static_cast<double>(a.query_length * a.query_heads) / static_cast<double>(a.key_heads);
}

// F': FLOPs with the rows of a key head rounded up to whole tiles.
double multiplied(const Attention& a) {
    const double all = flops(Operator{"", a}).value(), rows = query_rows(a);
    return is_latent(a) ? all * std::ceil(rows / kRowTile) * kRowTile / rows : all;
}

KernelTable::Position position_of(const Attention& a) {
    return shape_position(static_cast<double>(a.sequences * a.key_heads),
                          static_cast<double>(a.key_length), query_rows(a));
}

Attention row_of(const DataTable& table, std::size_t i) {
    const auto integer = [&](const char* c) {
        return static_cast<std::int64_t>(table.numbers[i][table.column(c)]);
    };
    Attention a;
    a.pass = AttentionPass::decode;
    a.sequences = integer("sequences");
    a.query_length = integer("query_length");
    a.key_length = integer("key_length");
    a.query_heads = integer("query_heads");
    a.key_heads = integer("key_heads");
    a.query_key_dim = integer("query_key_dim");
    a.value_dim = integer("value_dim");
    return a;
}

}  // namespace

DecodeTimes::DecodeTimes(const AcceleratorProfile& profile)
    : all_sms_(profile.sms.value.value()),
      saturating_sms_(profile.saturating_sms.value.value()),
      copy_bandwidth_(profile.copy_bandwidth.value.value()) {
    for (const DataTable* table : profile.find_tables("attention_decode")) {
        if (table->has_column("compute_TFLOPS")) {
            read_rates(*table);
        } else {
            read_rows(*table);
        }
    }
    for (Source& source : sources_) settle(source);
}

bool DecodeTimes::Source::has(const Attention& a) const {
    return latent == is_latent(a) && query_key_dim == a.query_key_dim && value_dim == a.value_dim;
}

void DecodeTimes::read_rates(const DataTable& table) {
    Source source;
    source.from = table.from;
    source.rates = true;
    source.compute = table.numbers.at(0)[table.column("compute_TFLOPS")] * 1e12;
    source.memory = table.numbers.at(0)[table.column("memory_GBps")] * 1e9;
    sources_.push_back(std::move(source));
}

void DecodeTimes::read_rows(const DataTable& table) {
    const auto time = table.column("time_us");
    for (std::size_t i = 0; i < table.rows(); ++i) {
        if (table.text(i, "clock", "burst") != "burst") continue;
        const Attention a = row_of(table, i);
        auto source = std::find_if(sources_.begin(), sources_.end(), [&](const Source& s) {
            return !s.rates && s.has(a) && s.from.origin == table.from.origin;
        });
        if (source == sources_.end()) {
            Source made;
            made.from = table.from;
            made.latent = is_latent(a);
            made.query_key_dim = a.query_key_dim;
            made.value_dim = a.value_dim;
            source = sources_.insert(sources_.end(), std::move(made));
        }
        source->rows.emplace_back(a, table.numbers[i][time] * 1e-6);
    }
}

void DecodeTimes::settle(Source& source) const {
    if (source.rates) return;
    source.memory = copy_bandwidth_;
    source.floor = source.rows.front().second;
    for (const auto& [a, seconds] : source.rows) {
        source.floor = std::min(source.floor, seconds);
        source.compute = std::max(source.compute, multiplied(a) / seconds);
    }
    for (const auto& [a, seconds] : source.rows) {
        source.table.add(position_of(a), seconds / model(source, a, all_sms_));
    }
    source.error = source.table.typical_error();
}

// m without the table, or the time of rates.
double DecodeTimes::model(const Source& source, const Attention& a, double sms) const {
    const double share = sms / all_sms_;
    const double memory = orrery::bytes(Operator{"", a}).value() / source.memory;
    if (source.rates) {
        const double compute = flops(Operator{"", a}).value() / source.compute;
        return std::max(compute / share, memory / std::min(1.0, share));
    }
    return source.floor + std::max(multiplied(a) / (source.compute * share),
                                   memory / std::min(1.0, sms / saturating_sms_));
}

const DecodeTimes::Source* DecodeTimes::source_for(const Attention& a) const {
    const auto found =
        std::find_if(sources_.begin(), sources_.end(), [&](const Source& s) { return s.has(a); });
    if (found != sources_.end()) return &*found;
    const Source* best = nullptr;
    double best_distance = 0;
    for (const Source& s : sources_) {
        if (s.latent != is_latent(a) && !s.rates) continue;
        const double distance = std::fabs(std::log2(static_cast<double>(s.query_key_dim) /
                                                    static_cast<double>(a.query_key_dim))) +
                                (s.rates ? 100 : 0);  // rates only where there are no rows
        if (best == nullptr || distance < best_distance) best = &s, best_distance = distance;
    }
    return best;
}

std::optional<Estimate> DecodeTimes::time(const Attention& attention, double sms) const {
    const Attention a = windowed(attention);
    const Source* source = source_for(a);
    if (source == nullptr) return std::nullopt;
    Estimate estimate;
    estimate.origin = source->from.origin;
    const bool exact = source->latent == is_latent(a) && source->query_key_dim == a.query_key_dim &&
                       source->value_dim == a.value_dim;
    double factor = 1;
    if (source->rates) {
        estimate.rule = exact ? "attention_decode rates" : "attention_decode rates, other heads";
    } else {
        const auto reading = source->table.read(position_of(a));
        factor = reading.value;
        if (reading.distance > 0) {
            estimate.spread = source->error * std::clamp(reading.distance, 1.0, 3.0);
        }
        if (reading.distance > 3) estimate.origin = weakest(estimate.origin, Origin::derived);
        estimate.rule = fmt::format("attention_decode table {}/{}, {}", source->query_key_dim,
                                    source->value_dim,
                                    reading.distance == 0 ? "measured shape" : "interpolated");
    }
    if (!exact || sms < all_sms_ || attention.window > 0) {
        estimate.origin = weakest(estimate.origin, Origin::derived);
    }
    estimate.time = Seconds(model(*source, a, sms) * factor);
    return estimate;
}

std::vector<DecodeTimes::FamilyErrors> DecodeTimes::leave_one_out() const {
    std::vector<FamilyErrors> result;
    for (const Source& s : sources_) {
        if (s.rates) continue;
        result.push_back({fmt::format("decode {}/{}", s.query_key_dim, s.value_dim), s.from,
                          summarise(s.table.leave_one_out())});
    }
    return result;
}

}  // namespace orrery
