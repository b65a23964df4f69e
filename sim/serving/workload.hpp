#pragma once
// Requests that no trace lists: arrivals from a process, lengths from distributions, users in a
// closed loop.
//
//   Poisson   distances between arrivals are exponential, mean 1 / rate
//   Gamma     shape 1 / cv^2, mean 1 / rate: cv > 1 comes in bursts, cv = 1 is Poisson
//   Weibull   shape k, scale such that the mean is 1 / rate
//   fixed     1 / rate each
//
// Every draw is a counter hash of (seed, stream, number), so a workload is the same whatever plays
// it. Left out: dependence between lengths and arrivals, and between prompt and output.

#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

#include "serving/request.hpp"
#include "serving/trace_reader.hpp"

namespace orrery {

// Draws of one stream of random numbers, in order.
class Draws {
  public:
    Draws(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}
    double uniform();              // in (0, 1)
    double exponential();          // mean 1
    double normal();               // mean 0, deviation 1
    double gamma(double shape);    // scale 1 (Marsaglia and Tsang 2000); shape > 0
    double weibull(double shape);  // scale 1

  private:
    std::uint64_t seed_, stream_, next_ = 0;
};

enum class ArrivalFamily : std::uint8_t { poisson, gamma, weibull, fixed };
struct ArrivalProcess {
    ArrivalFamily family = ArrivalFamily::poisson;
    double rate = 1;   // requests / s, > 0
    double shape = 1;  // Gamma: 1 / cv^2; Weibull: k
};
// A distance between two arrivals in seconds.
double draw_distance(const ArrivalProcess& process, Draws& draws);

enum class LengthFamily : std::uint8_t { fixed, uniform, lognormal, histogram };
struct LengthDistribution {
    LengthFamily family = LengthFamily::fixed;
    std::int64_t low = 1, high = 1;  // every draw is clipped to them; fixed: low
    double mean = 1;                 // lognormal: of the tokens, before clipping
    double sigma = 1;                // lognormal: of the logarithm
    // Histogram: (tokens, cumulative probability), the last 1.
    std::vector<std::pair<std::int64_t, double>> steps = {};
};
LengthDistribution fixed_length(std::int64_t tokens);
// Weights need not add up to 1. Throws InputError naming `file` where none is above 0.
LengthDistribution histogram_length(std::vector<std::pair<std::int64_t, double>> weights,
                                    std::string_view file);
std::int64_t draw_length(const LengthDistribution& distribution, Draws& draws);

struct SyntheticWorkload {
    ArrivalProcess arrivals = {};
    LengthDistribution prompt = {}, output = {};
    // Where set, both lengths come from it instead.
    std::function<Lengths()> lengths = {};
    double cached_fraction = 0;  // of every prompt, held by a store outside the engines
    std::int64_t requests = 1;
    std::uint64_t seed = 1;
};
RequestStream synthetic_stream(SyntheticWorkload workload);

// `users` ask, wait for the answer, think and ask again.
struct ClosedLoop {
    std::int64_t users = 1;
    double think_seconds = 0;         // mean, exponential; 0: at once
    SyntheticWorkload workload = {};  // its arrivals count nothing; its requests are of all users
};
// Users begin at the same time. Lengths belong to the request's number, not to its user.
RequestStream closed_loop_stream(ClosedLoop loop);

// Client statistics of ServeGen (arXiv:2505.09999): files chunk-N-trace.csv (window start in s,
// rate in requests/s, coefficient of variation, family Gamma, Weibull or none, two parameters) and
// chunk-N-dataset.json (by window start: histograms of input and output tokens as text), in a
// directory or a tar archive of one. Clients are independent; within a window arrivals renew with
// the window's rate and the family's shape, the scale following from the rate; at a window's end
// the wait is drawn anew.
struct ServeGenOptions {
    double rate_scale = 1;
    double begin_seconds = 0, end_seconds = 86400;  // part of the day; `begin` becomes time 0
    std::uint64_t seed = 1;
};
RequestStream servegen_stream(const std::filesystem::path& source, const ServeGenOptions& options);

}  // namespace orrery
