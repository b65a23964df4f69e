#include "network/finite_field.hpp"

namespace orrery {

FiniteField::FiniteField(std::int64_t q) : q_(q), p_(q) {
    std::int64_t prime = 2;
    while (prime * prime <= q && q % prime != 0) ++prime;
    if (q % prime != 0) prime = q;
    std::int64_t rest = q, power = 0;
    for (; rest % prime == 0; rest /= prime) ++power;
    is_field_ = rest == 1;
    if (!is_field_) return;
    p_ = prime;
    k_ = power;
    // A polynomial is a good modulus exactly where some element then generates all others.
    for (std::int64_t code = 0; code < q_; ++code) {
        modulus_ = digits(code);
        for (generator_ = 1; generator_ < q_; ++generator_) {
            if (generates(generator_)) return;
        }
    }
}

FiniteField::Polynomial FiniteField::digits(std::int64_t a) const {
    Polynomial result(static_cast<std::size_t>(k_));
    for (std::int64_t& digit : result) {
        digit = a % p_;
        a /= p_;
    }
    return result;
}

std::int64_t FiniteField::number(const Polynomial& polynomial) const {
    std::int64_t result = 0;
    for (auto digit = polynomial.rbegin(); digit != polynomial.rend(); ++digit) {
        result = result * p_ + *digit;
    }
    return result;
}

std::int64_t FiniteField::add(std::int64_t a, std::int64_t b) const {
    if (k_ == 1) return (a + b) % q_;
    Polynomial x = digits(a);
    const Polynomial y = digits(b);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = (x[i] + y[i]) % p_;
    return number(x);
}

std::int64_t FiniteField::subtract(std::int64_t a, std::int64_t b) const {
    if (k_ == 1) return (a - b + q_) % q_;
    Polynomial x = digits(a);
    const Polynomial y = digits(b);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = (x[i] - y[i] + p_) % p_;
    return number(x);
}

// a times b, a x replaced by what the modulus says whenever the degree reaches k.
std::int64_t FiniteField::multiply(std::int64_t a, std::int64_t b) const {
    if (k_ == 1) return a * b % q_;
    Polynomial shifted = digits(a), sum(static_cast<std::size_t>(k_));
    for (const std::int64_t digit : digits(b)) {
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = (sum[i] + digit * shifted[i]) % p_;
        const std::int64_t top = shifted.back();
        for (std::size_t i = shifted.size() - 1; i > 0; --i) shifted[i] = shifted[i - 1];
        shifted[0] = 0;
        for (std::size_t i = 0; i < shifted.size(); ++i) {
            shifted[i] = ((shifted[i] - top * modulus_[i]) % p_ + p_) % p_;
        }
    }
    return number(sum);
}

bool FiniteField::generates(std::int64_t element) const {
    std::int64_t x = element, order = 1;
    for (; x != 1 && order < q_; ++order) {
        x = multiply(x, element);
        if (x == 0) return false;
    }
    return x == 1 && order == q_ - 1;
}

std::vector<std::int64_t> FiniteField::powers() const {
    std::vector<std::int64_t> result = {1};
    while (static_cast<std::int64_t>(result.size()) < q_ - 1) {
        result.push_back(multiply(result.back(), generator_));
    }
    return result;
}

}  // namespace orrery
