#pragma once
// Arithmetic on 0 ... q-1: the field of q elements where q is a power of a prime, else the ring of
// integers modulo q. Elements of a field of p^k are polynomials over p, written in base p.

#include <cstdint>
#include <vector>

namespace orrery {

class FiniteField {
  public:
    explicit FiniteField(std::int64_t q);
    bool is_field() const { return is_field_; }
    std::int64_t size() const { return q_; }
    std::int64_t add(std::int64_t a, std::int64_t b) const;
    std::int64_t subtract(std::int64_t a, std::int64_t b) const;
    std::int64_t multiply(std::int64_t a, std::int64_t b) const;
    // Powers 0 ... q-2 of an element that generates all but 0; of a field only.
    std::vector<std::int64_t> powers() const;

  private:
    using Polynomial = std::vector<std::int64_t>;
    Polynomial digits(std::int64_t a) const;
    std::int64_t number(const Polynomial& digits) const;
    bool generates(std::int64_t element) const;

    std::int64_t q_, p_ = 0, k_ = 1;
    bool is_field_ = false;
    Polynomial modulus_;  // of degree k, its leading 1 left out
    std::int64_t generator_ = 0;
};

}  // namespace orrery
