#include "hardware/attention_time.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

constexpr double kBlockRows = 128;  // query rows a CTA of FlashAttention-3 takes

// FLOP/s at a length. Time a row is linear in the length (a part a query block costs whatever it
// sees, a part for every key): y = length / rate, up to a factor, is interpolated linearly, with
// the slope of the two nearest points beyond the ends and never below half of the shortest's share.
double rate_at(const std::map<double, double>& rates, double length, double skip = -1) {
    std::vector<std::pair<double, double>> points;  // length, y
    for (const auto& [at, rate] : rates) {
        if (at != skip) points.emplace_back(at, at / rate);
    }
    if (points.size() == 1) return points.front().first / points.front().second;
    auto above = std::find_if(points.begin() + 1, points.end() - 1,
                              [&](const auto& point) { return point.first >= length; });
    const auto [x0, y0] = *(above - 1);
    const auto [x1, y1] = *above;
    const double y = y0 + (y1 - y0) * (length - x0) / (x1 - x0);
    const double least = points.front().second * std::min(1.0, length / points.front().first) / 2;
    return length / std::max(y, least);
}

std::vector<double> errors_of(const std::map<double, double>& rates) {
    std::vector<double> errors;
    if (rates.size() < 2) return errors;
    for (const auto& [length, rate] : rates) {
        errors.push_back(rate / rate_at(rates, length, length) - 1);
    }
    return errors;
}

}  // namespace

AttentionPass parse_attention_pass(const std::string& text, const std::string& where) {
    if (text == "forward") return AttentionPass::forward;
    if (text == "backward") return AttentionPass::backward;
    if (text == "decode") return AttentionPass::decode;
    throw InputError(fmt::format("{} = \"{}\": must be forward, backward or decode", where, text));
}

AttentionTimes::AttentionTimes(const AcceleratorProfile& profile)
    : all_sms_(profile.sms.value.value()), copy_bandwidth_(profile.copy_bandwidth.value.value()) {
    for (const DataTable* table : profile.find_tables("attention")) read_rows(*table);
    settle();
    if (const DataTable* table = profile.find_table("attention_decode")) decode_ = *table;
    if (const DataTable* table = profile.find_table("attention_sms")) read_limited(*table);
}

double AttentionTimes::blocks_per_sm(const Attention& a) const {
    return static_cast<double>(a.sequences * a.query_heads) *
           std::ceil(static_cast<double>(a.query_length) / kBlockRows) / all_sms_;
}

// Finds the tail of each pass, then what every curve would reach without one.
void AttentionTimes::settle() {
    // The row with the most blocks counts, the fastest of several.
    const auto less = [](const Sample& a, const Sample& b) {
        return std::pair(a.blocks, a.rate) < std::pair(b.blocks, b.rate);
    };
    std::map<AttentionPass, std::vector<double>> tails;
    for (const Curve& curve : curves_) {
        for (const auto& [length, samples] : curve.samples) {
            const auto most = std::max_element(samples.begin(), samples.end(), less);
            for (const Sample& s : samples) {
                if (s.blocks >= most->blocks) continue;
                const double ratio = most->rate / s.rate;
                tails[curve.pass].push_back((ratio - 1) / (1 / s.blocks - ratio / most->blocks));
            }
        }
    }
    for (auto& [pass, values] : tails) {
        std::nth_element(values.begin(),
                         values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                         values.end());
        tail_[pass] = std::max(0.0, values[values.size() / 2]);
    }
    for (Curve& curve : curves_) {
        for (const auto& [length, samples] : curve.samples) {
            const auto most = std::max_element(samples.begin(), samples.end(), less);
            curve.rates[length] = most->rate * (1 + tail_[curve.pass] / most->blocks);
        }
        curve.error = summarise(errors_of(curve.rates)).mean;
    }
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
        a.query_heads = a.key_heads = integer(heads);
        a.query_key_dim = integer(dim);
        a.value_dim = integer(value_dim);
        Curve* curve = curve_for(a, table.from);
        if (curve == nullptr) continue;
        const double rate =
            timed ? flops(Operator{"", a}).value() / (row[value] * 1e-6) : row[value] * 1e12;
        curve->samples[row[length]].push_back({rate, blocks_per_sm(a)});
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
    curves_.push_back({a.pass, a.causal, a.query_key_dim, a.value_dim, from, {}, {}, 0});
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

std::optional<Estimate> AttentionTimes::decode(const Attention& a, double sms) const {
    if (!decode_) return std::nullopt;
    const Operator op{"", a};
    const double share = sms / all_sms_;
    const double compute = decode_->numbers[0][decode_->column("compute_TFLOPS")] * 1e12 * share;
    const double memory =
        decode_->numbers[0][decode_->column("memory_GBps")] * 1e9 * std::min(1.0, share);
    Estimate estimate;
    estimate.time =
        Seconds(std::max(flops(op).value() / compute, orrery::bytes(op).value() / memory));
    estimate.origin = decode_->from.origin;
    const bool latent = a.key_heads == 1 && a.query_key_dim == 576 && a.value_dim == 512;
    if (!latent || sms < all_sms_) estimate.origin = weakest(estimate.origin, Origin::derived);
    estimate.rule = latent ? "attention_decode table" : "attention_decode table, other heads";
    return estimate;
}

std::optional<Estimate> AttentionTimes::time(const Attention& a, double sms) const {
    if (a.pass == AttentionPass::decode) return decode(a, sms);
    const Curve* curve = nearest(a);
    if (curve == nullptr) return std::nullopt;
    double length = static_cast<double>(a.key_length);
    if (a.window > 0) length = std::min(length, static_cast<double>(a.window));
    const double blocks = blocks_per_sm(a);
    const auto tail = tail_.find(a.pass);
    const double waiting = 1 + (tail == tail_.end() ? 0 : tail->second / blocks);
    // Without a measured tail, fewer blocks than SMs leave the others idle.
    const double busy = tail == tail_.end() ? std::min(1.0, blocks) : 1;
    Estimate estimate;
    estimate.time = flops(Operator{"", a}) / FlopsPerSecond(rate_at(curve->rates, length) * busy) *
                    waiting * (blocks * all_sms_ <= sms ? 1 : slowdown(a.pass, sms));
    const bool exact = curve->causal == a.causal && curve->query_key_dim == a.query_key_dim &&
                       curve->value_dim == a.value_dim && a.window == 0 &&
                       a.query_length == a.key_length;
    estimate.origin = curve->from.origin;
    if (!exact || sms < all_sms_ || length < curve->rates.begin()->first) {
        estimate.origin = weakest(estimate.origin, Origin::derived);
    }
    estimate.spread = curve->rates.contains(length) && exact ? 0 : curve->error;
    estimate.rule = fmt::format("attention table, rate of head dims {}/{}{}", curve->query_key_dim,
                                curve->value_dim, curve->causal ? " causal" : " without mask");
    return estimate;
}

std::vector<AttentionTimes::FamilyErrors> AttentionTimes::leave_one_out() const {
    std::vector<FamilyErrors> result;
    for (const Curve& c : curves_) {
        result.push_back(
            {fmt::format("{} {} {}/{}", c.pass == AttentionPass::forward ? "forward" : "backward",
                         c.causal ? "causal" : "unmasked", c.query_key_dim, c.value_dim),
             c.from, summarise(errors_of(c.rates))});
    }
    return result;
}

}  // namespace orrery
