#pragma once
// Device buffers by name. A first pass over all operators states how many bytes of each they touch;
// then everything is allocated and filled with random values; a second pass gets the pointers.

#include <cstdint>
#include <map>
#include <string>

#include "calibrate/gpu/device.hpp"

namespace orrery::closed_loop {

enum class Content { any, bf16, e4m3, scales, floats };

class NamedBuffers {
  public:
    // Null while planning. Throws InputError where more is asked for than was planned.
    template <class T>
    T* get(const std::string& name, std::int64_t bytes, Content content) {
        return static_cast<T*>(find(name, bytes, content));
    }
    bool planning() const { return planning_; }
    // Scales of FP8 operands are such that products of a GEMM keep the size of their inputs.
    void allocate(cudaStream_t stream);
    std::int64_t bytes() const;
    // Share of the BF16 values of `name` that are not finite, from its first million.
    double not_finite(const std::string& name) const;

  private:
    struct Entry {
        std::int64_t bytes = 0;
        Content content = Content::any;
        calibrate::Buffer buffer;
    };
    void* find(const std::string& name, std::int64_t bytes, Content content);

    bool planning_ = true;
    std::map<std::string, Entry> entries_;
};

}  // namespace orrery::closed_loop
