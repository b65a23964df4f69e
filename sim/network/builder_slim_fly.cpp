// Slim Fly (Besta, Hoefler, SC 2014, arXiv:1912.08968): switches (s, x, y), s in {0, 1}, x and y in
// a field of q = 4w + d elements, d in {-1, 0, 1}, generator g.
//
//   (0, x, y) - (0, x, y')   where y - y' is in X
//   (1, m, c) - (1, m, c')   where c - c' is in X'
//   (0, x, y) - (1, m, c)    where y = m x + c
//   d = 1, 0:  X = even powers of g, X' = odd powers
//   d = -1:    X = {1, g^2, ..., g^(2w-2), g^(2w-1), g^(2w+1), ..., g^(4w-3)}, X' = g X

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "network/finite_field.hpp"
#include "network/topology_builders.hpp"

namespace orrery {
namespace {

// d of q = 4w + d; no such d for q = 4w + 2.
std::int64_t remainder_of(std::int64_t q) {
    if (q < 3 || q % 4 == 2) {
        throw InputError(fmt::format("slim_fly: q = {}: must be 4w - 1, 4w or 4w + 1", q));
    }
    return q % 4 == 3 ? -1 : q % 4;
}

std::int64_t degree_of(std::int64_t q) { return (3 * q - remainder_of(q)) / 2; }

struct Sets {
    std::vector<std::int64_t> x, x_prime;
};

Sets field_sets(const FiniteField& field) {
    const auto powers = field.powers();
    const std::int64_t q = field.size();
    Sets sets;
    if (remainder_of(q) >= 0) {
        // Even and odd exponents below q; the power q - 1 is 1 again.
        for (std::int64_t i = 0; i < q - (q % 2); ++i) {
            const std::int64_t power = powers[static_cast<std::size_t>(i % (q - 1))];
            (i % 2 == 0 ? sets.x : sets.x_prime).push_back(power);
        }
        return sets;
    }
    const std::int64_t w = (q + 1) / 4;
    for (std::int64_t i = 0; i <= 2 * w - 2; i += 2)
        sets.x.push_back(powers[static_cast<std::size_t>(i)]);
    for (std::int64_t i = 2 * w - 1; i <= 4 * w - 3; i += 2) {
        sets.x.push_back(powers[static_cast<std::size_t>(i)]);
    }
    for (const std::int64_t element : sets.x) {
        sets.x_prime.push_back(field.multiply(element, powers[1]));
    }
    return sets;
}

// For q without a field, q divisible by 4: sets of q/2 residues that hold -a with a. All odd ones;
// all even ones but 0 and q/2, and 1 and -1.
Sets ring_sets(std::int64_t q) {
    Sets sets;
    for (std::int64_t i = 1; i < q; ++i) {
        if (i % 2 == 1) sets.x.push_back(i);
        if ((i % 2 == 0 && 2 * i != q) || i == 1 || i == q - 1) sets.x_prime.push_back(i);
    }
    return sets;
}

}  // namespace

std::int64_t slim_fly_endpoints(std::int64_t q) { return 2 * q * q * ((degree_of(q) + 1) / 2); }

void add_slim_fly(Topology& topology, Endpoints endpoints, std::int64_t q,
                  const FabricCables& cables) {
    const std::int64_t most = slim_fly_endpoints(q), each = (degree_of(q) + 1) / 2;
    if (static_cast<std::int64_t>(endpoints.size()) > most) {
        throw InputError(
            fmt::format("topology {}: {} endpoints: a slim fly with q = {} takes at "
                        "most {}",
                        topology.name, endpoints.size(), q, most));
    }
    const FiniteField field(q);
    if (!field.is_field() && q % 4 != 0) {
        throw InputError(fmt::format("slim_fly: q = {}: must be a power of a prime", q));
    }
    const Sets sets = field.is_field() ? field_sets(field) : ring_sets(q);
    if (!field.is_field()) {
        topology.notes.push_back(fmt::format(
            "q = {} is no power of a prime, so there is no such graph of diameter 2: arithmetic "
            "modulo q gives the same counts and a larger diameter",
            q));
    }
    const auto first = static_cast<std::uint32_t>(topology.nodes.size());
    const auto at = [&](std::int64_t s, std::int64_t x, std::int64_t y) {
        return first + static_cast<std::uint32_t>((s * q + x) * q + y);
    };
    for (std::int64_t i = 0; i < 2 * q * q; ++i) {
        topology.add_node(
            {NodeKind::fabric, fmt::format("switch{}.{}.{}", i / (q * q), i / q % q, i % q), 1});
    }
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
        topology.add_link(endpoints[i],
                          first + static_cast<std::uint32_t>(static_cast<std::int64_t>(i) / each),
                          cables.bandwidth, cables.endpoint_latency, LinkClass::nic);
    }
    const auto join = [&](std::uint32_t a, std::uint32_t b) {
        topology.add_link(a, b, cables.bandwidth, cables.switch_latency, LinkClass::fabric);
    };
    for (std::int64_t x = 0; x < q; ++x) {
        for (std::int64_t y = 0; y < q; ++y) {
            for (std::int64_t other = y + 1; other < q; ++other) {
                const std::int64_t difference = field.subtract(y, other);
                if (std::count(sets.x.begin(), sets.x.end(), difference) > 0) {
                    join(at(0, x, y), at(0, x, other));
                }
                if (std::count(sets.x_prime.begin(), sets.x_prime.end(), difference) > 0) {
                    join(at(1, x, y), at(1, x, other));
                }
            }
            for (std::int64_t m = 0; m < q; ++m) {
                join(at(0, x, y), at(1, m, field.subtract(y, field.multiply(m, x))));
            }
        }
    }
}

}  // namespace orrery
