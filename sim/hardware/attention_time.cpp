#include "hardware/attention_time.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

constexpr std::size_t kNeighbours = 5;

double squared(double x) { return x * x; }

// Squared distance of two shapes: octaves of length, of tiles, of query heads a key head.
double squared_distance(const Attention& a, const Attention& b) {
    const auto octaves = [](double x, double y) { return std::log2(x / y); };
    const auto tiles = [](const Attention& s) {
        return static_cast<double>(s.sequences * s.query_heads * ((s.query_length + 127) / 128));
    };
    const auto ratio = [](const Attention& s) {
        return static_cast<double>(s.query_heads) / static_cast<double>(s.key_heads);
    };
    const auto length = [](const Attention& s) {
        return static_cast<double>(s.window > 0 ? std::min(s.window, s.key_length) : s.key_length);
    };
    return squared(octaves(length(a), length(b))) + squared(octaves(tiles(a), tiles(b)) / 2) +
           squared(0.3 * octaves(ratio(a), ratio(b)));
}

}  // namespace

AttentionPass parse_attention_pass(const std::string& text, const std::string& where) {
    if (text == "forward") return AttentionPass::forward;
    if (text == "backward") return AttentionPass::backward;
    if (text == "decode") return AttentionPass::decode;
    throw InputError(fmt::format("{} = \"{}\": must be forward, backward or decode", where, text));
}

AttentionTimes::AttentionTimes(const AcceleratorProfile& profile)
    : all_sms_(profile.sms.value.value()),
      tiles_{profile.sms.value.value(), profile.copy_bandwidth.value.value()},
      decode_(profile) {
    for (const DataTable* table : profile.find_tables("attention")) read_rows(*table);
    for (Curve& curve : curves_) settle(curve);
    if (const DataTable* table = profile.find_table("attention_sms")) read_limited(*table);
}

// Of several kernels' times for one shape the shortest counts.
void AttentionTimes::add(Curve& curve, const Attention& shape, double seconds) const {
    for (Sample& s : curve.samples) {
        if (s.shape != shape) continue;
        s.seconds = std::min(s.seconds, seconds);
        return;
    }
    curve.samples.push_back({shape, seconds});
}

// The unit: median over the longer-running half of the samples. Then what each is off.
void AttentionTimes::settle(Curve& curve) const {
    std::sort(curve.samples.begin(), curve.samples.end(),
              [](const Sample& a, const Sample& b) { return a.seconds < b.seconds; });
    std::vector<double> units;
    for (std::size_t i = curve.samples.size() / 2; i < curve.samples.size(); ++i) {
        units.push_back(tiles_.unit(curve.samples[i].shape, curve.samples[i].seconds));
    }
    std::sort(units.begin(), units.end());
    curve.unit = units[units.size() / 2];
    for (Sample& s : curve.samples) {
        s.log_ratio = std::log(s.seconds / tiles_.time(s.shape, curve.unit));
    }
    curve.error = summarise(errors_of(curve)).mean;
}

// Seconds on all SMs; `without`: a sample that is not looked at. The pass is the curve's.
double AttentionTimes::price(const Curve& curve, const Attention& a, const Sample* without) const {
    std::vector<std::pair<double, double>> near;  // squared distance, log ratio
    for (const Sample& s : curve.samples) {
        if (&s == without) continue;
        if (s.shape == a) return s.seconds;
        near.emplace_back(squared_distance(s.shape, a), s.log_ratio);
    }
    const std::size_t count = std::min(kNeighbours, near.size());
    std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(count), near.end());
    double weights = 0, sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const double weight = 1 / squared(std::sqrt(near[i].first) + 0.1);
        weights += weight;
        sum += weight * near[i].second;
    }
    Attention measured = a;
    measured.query_key_dim = curve.query_key_dim;
    measured.value_dim = curve.value_dim;
    const double unit = curve.unit * attention_pair_work(a) / attention_pair_work(measured);
    return tiles_.time(a, unit) * std::exp(sum / weights);
}

std::vector<double> AttentionTimes::errors_of(const Curve& curve) const {
    std::vector<double> errors;
    if (curve.samples.size() < 2) return errors;
    for (const Sample& s : curve.samples) {
        errors.push_back(price(curve, s.shape, &s) / s.seconds - 1);
    }
    return errors;
}

void AttentionTimes::read_limited(const DataTable& table) {
    const auto pass = table.column("pass"), sm = table.column("sm");
    const auto slowdown = table.column("slowdown");
    for (std::size_t i = 0; i < table.rows(); ++i) {
        const std::string where = fmt::format("{}: rows[{}].pass", table.file, i);
        limited_[parse_attention_pass(table.texts[i][pass], where)][table.numbers[i][sm]] =
            table.numbers[i][slowdown];
    }
}

// Time on `sms` SMs over time on all. Below the fewest measured, in proportion to the SMs.
double AttentionTimes::slowdown(AttentionPass pass, double sms) const {
    if (sms >= all_sms_) return 1;
    const auto known = limited_.find(pass);
    if (known == limited_.end()) return all_sms_ / sms;
    const auto above = known->second.lower_bound(sms);
    if (above == known->second.begin() && above->first > sms) {
        return above->second * above->first / sms;
    }
    const double x1 = above == known->second.end() ? all_sms_ : above->first;
    const double y1 = above == known->second.end() ? 1 : above->second;
    if (x1 == sms) return y1;
    const auto below = std::prev(above);
    return below->second + (y1 - below->second) * (sms - below->first) / (x1 - below->first);
}

void AttentionTimes::read_rows(const DataTable& table) {
    const auto pass = table.column("pass"), causal = table.column("causal");
    const auto sequences = table.column("sequences"), heads = table.column("query_heads", "heads");
    const auto length = table.column("query_length", "length");
    const auto dim = table.column("query_key_dim"), value_dim = table.column("value_dim");
    const bool timed = table.has_column("time_us");
    const auto value = table.column(timed ? "time_us" : "TFLOPS");
    for (std::size_t i = 0; i < table.rows(); ++i) {
        const auto& row = table.numbers[i];
        const bool whole = table.number(i, "key_length", row[length]) == row[length];
        if (!whole || !table.text(i, "note", "").empty()) continue;  // padded heads and the like
        if (table.number(i, "sm", all_sms_) < all_sms_) continue;
        if (table.text(i, "clock", "burst") != "burst") continue;
        Attention a;
        const auto integer = [&](std::size_t c) { return static_cast<std::int64_t>(row[c]); };
        a.pass = parse_attention_pass(table.texts[i][pass],
                                      fmt::format("{}: rows[{}].pass", table.file, i));
        a.causal = row[causal] != 0;
        a.sequences = integer(sequences);
        a.query_length = a.key_length = integer(length);
        a.query_heads = integer(heads);
        a.key_heads = static_cast<std::int64_t>(table.number(i, "key_heads", row[heads]));
        a.query_key_dim = integer(dim);
        a.value_dim = integer(value_dim);
        Curve* curve = curve_for(a, table.from);
        if (curve == nullptr) continue;
        add(*curve, a,
            timed ? row[value] * 1e-6 : flops(Operator{"", a}).value() / (row[value] * 1e12));
    }
}

// The curve of a row's pass, mask and head dims; nullptr where a stronger or earlier table has it.
AttentionTimes::Curve* AttentionTimes::curve_for(const Attention& a, const Provenance& from) {
    for (Curve& c : curves_) {
        if (c.pass == a.pass && c.causal == a.causal && c.query_key_dim == a.query_key_dim &&
            c.value_dim == a.value_dim) {
            return c.from.source == from.source ? &c : nullptr;
        }
    }
    curves_.push_back({a.pass, a.causal, a.query_key_dim, a.value_dim, from, {}, 0, 0});
    return &curves_.back();
}

// The curve of the same pass with the nearest head dims; another mask counts as a further octave.
const AttentionTimes::Curve* AttentionTimes::nearest(const Attention& a) const {
    const Curve* best = nullptr;
    double best_distance = 0;
    for (const Curve& curve : curves_) {
        if (curve.pass != a.pass) continue;
        const auto octaves = [](std::int64_t x, std::int64_t y) {
            return std::fabs(std::log2(static_cast<double>(x) / static_cast<double>(y)));
        };
        const double distance = octaves(curve.query_key_dim, a.query_key_dim) +
                                octaves(curve.value_dim, a.value_dim) +
                                (curve.causal == a.causal ? 0 : 1);
        if (best == nullptr || distance < best_distance) best = &curve, best_distance = distance;
    }
    return best;
}

std::optional<Estimate> AttentionTimes::time(const Attention& a, double sms) const {
    if (a.pass == AttentionPass::decode) return decode_.time(a, sms);
    const Curve* curve = nearest(a);
    if (curve == nullptr) return std::nullopt;
    const double tiles = static_cast<double>(a.sequences * a.query_heads) *
                         std::ceil(static_cast<double>(a.query_length) / 128);
    Estimate estimate;
    estimate.time = Seconds(price(*curve, a, nullptr) * (tiles <= sms ? 1 : slowdown(a.pass, sms)));
    const bool exact = curve->causal == a.causal && curve->query_key_dim == a.query_key_dim &&
                       curve->value_dim == a.value_dim && a.window == 0 &&
                       a.query_length == a.key_length;
    estimate.origin = curve->from.origin;
    const auto shorter = [&](const Sample& s) { return s.shape.key_length <= a.key_length; };
    if (!exact || sms < all_sms_ ||
        std::none_of(curve->samples.begin(), curve->samples.end(), shorter)) {
        estimate.origin = weakest(estimate.origin, Origin::derived);
    }
    const auto same = [&](const Sample& s) { return s.shape == a; };
    estimate.spread =
        std::any_of(curve->samples.begin(), curve->samples.end(), same) ? 0 : curve->error;
    estimate.rule = fmt::format("attention table, times of head dims {}/{}{}", curve->query_key_dim,
                                curve->value_dim, curve->causal ? " causal" : " without mask");
    return estimate;
}

std::vector<AttentionTimes::FamilyErrors> AttentionTimes::leave_one_out() const {
    std::vector<FamilyErrors> result;
    for (const Curve& c : curves_) {
        result.push_back(
            {fmt::format("{} {} {}/{}", c.pass == AttentionPass::forward ? "forward" : "backward",
                         c.causal ? "causal" : "unmasked", c.query_key_dim, c.value_dim),
             c.from, summarise(errors_of(c))});
    }
    for (const DecodeTimes::FamilyErrors& f : decode_.leave_one_out()) {
        result.push_back({f.name, f.from, f.errors});
    }
    return result;
}

}  // namespace orrery
