#pragma once
// Shared by the kernel tests: device buffers, fresh random inputs, poisoned outputs, errors.

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

namespace orrery::kernels {

using Bf16 = __nv_bfloat16;

// Skips where there is no GPU; otherwise a generator with a seed that changes with every run and is
// printed with failures.
class GpuTest : public testing::Test {
  protected:
    void SetUp() override {
        int count = 0;
        if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0)
            GTEST_SKIP() << "no CUDA device";
        seed_ = std::random_device{}();
        random_.seed(seed_);
        RecordProperty("seed", std::to_string(seed_));
    }
    std::vector<Bf16> normal_bf16(std::size_t n, float deviation = 1) {
        std::normal_distribution<float> d(0, deviation);
        std::vector<Bf16> v(n);
        for (Bf16& x : v) x = __float2bfloat16(d(random_));
        return v;
    }
    std::vector<float> uniform(std::size_t n, float low, float high) {
        std::uniform_real_distribution<float> d(low, high);
        std::vector<float> v(n);
        for (float& x : v) x = d(random_);
        return v;
    }
    unsigned seed_ = 0;
    std::mt19937 random_;
};

template <class T>
class OnDevice {
  public:
    // Poisoned: 0xff bytes, NaN in every floating-point type used here.
    explicit OnDevice(std::size_t n) : n_(n) {
        EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&data_), n * sizeof(T)), cudaSuccess);
        EXPECT_EQ(cudaMemset(data_, 0xff, n * sizeof(T)), cudaSuccess);
    }
    explicit OnDevice(const std::vector<T>& host) : OnDevice(host.size()) {
        EXPECT_EQ(cudaMemcpy(data_, host.data(), n_ * sizeof(T), cudaMemcpyHostToDevice),
                  cudaSuccess);
    }
    ~OnDevice() { cudaFree(data_); }
    OnDevice(const OnDevice&) = delete;
    T* get() const { return data_; }
    std::vector<T> host() const {
        std::vector<T> v(n_);
        EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
        EXPECT_EQ(cudaMemcpy(v.data(), data_, n_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
        return v;
    }

  private:
    T* data_ = nullptr;
    std::size_t n_ = 0;
};

inline double value(Bf16 v) { return double(__bfloat162float(v)); }
inline double value(float v) { return double(v); }
inline double e4m3_value(std::uint8_t byte) {
    const __half_raw raw = __nv_cvt_fp8_to_halfraw(byte, __NV_E4M3);
    return double(__half2float(__half(raw)));
}

// |out - expected| / |expected| over the whole tensor; NaN where anything was not written.
template <class T>
double relative_error(const std::vector<T>& out, const std::vector<double>& expected) {
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double d = value(out[i]) - expected[i];
        error += d * d;
        norm += expected[i] * expected[i];
    }
    return std::sqrt(error / norm);
}

}  // namespace orrery::kernels
