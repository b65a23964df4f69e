#pragma once
// cuDNN's graph API behind a few calls: tensors, operations, one execution plan. The library is
// opened when first asked for, so that a program starts where there is none.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <cudnn.h>

namespace orrery::calibrate {

using Size4 = std::array<std::int64_t, 4>;  // batch, head, row, column

// Entry points of libcudnn.so.9, and a handle to run plans with on the device that was current when
// it was first found, by one thread at a time. Plans are built without it, by any thread.
struct CudnnLibrary {
    decltype(&cudnnGetVersion) version = nullptr;
    decltype(&cudnnGetErrorString) error_string = nullptr;
    decltype(&cudnnGetLastErrorString) last_error = nullptr;
    decltype(&cudnnSetStream) set_stream = nullptr;
    decltype(&cudnnBackendCreateDescriptor) create = nullptr;
    decltype(&cudnnBackendDestroyDescriptor) destroy = nullptr;
    decltype(&cudnnBackendSetAttribute) set = nullptr;
    decltype(&cudnnBackendGetAttribute) get = nullptr;
    decltype(&cudnnBackendFinalize) finalize = nullptr;
    decltype(&cudnnBackendExecute) execute = nullptr;
    cudnnHandle_t handle = nullptr;

    // The library, opened at the first call; nullptr where it or a device is missing.
    static const CudnnLibrary* find();
    // Throws InputError naming `what` and what cuDNN says about it.
    void check(cudnnStatus_t status, const std::string& what) const;
};

// One backend object: attributes are set, then it is finalized and only read.
class CudnnDescriptor {
  public:
    CudnnDescriptor(const CudnnLibrary& library, cudnnBackendDescriptorType_t type);
    ~CudnnDescriptor();
    CudnnDescriptor(const CudnnDescriptor&) = delete;
    CudnnDescriptor(CudnnDescriptor&& other) noexcept
        : library_(other.library_), raw_(other.raw_), type_(other.type_) {
        other.raw_ = nullptr;
    }
    cudnnBackendDescriptor_t raw() const { return raw_; }

    void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
             const void* values);
    template <class T>
    void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) {
        set(name, type, 1, &value);
    }
    void set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value);
    void finalize();
    cudnnStatus_t try_finalize();

  private:
    const CudnnLibrary& library_;
    cudnnBackendDescriptor_t raw_ = nullptr;
    cudnnBackendDescriptorType_t type_;
};

// Builds a graph operation by operation, then a plan of the engine that cuDNN's heuristic ranks
// first among those that accept it. Tensors are named by the number tensor() and the operations
// return. Virtual tensors never leave the kernel.
class CudnnGraph {
  public:
    using Tensor = std::int64_t;
    explicit CudnnGraph(const CudnnLibrary& library) : library_(library) {}

    Tensor tensor(const Size4& size, const Size4& stride, cudnnDataType_t type);
    Tensor virtual_tensor(const Size4& size, const Size4& stride, cudnnDataType_t type);
    Tensor constant(float value);
    Tensor constant(std::int32_t value);

    // y = mode(x, b) or mode(x, b, t); `axis` for index generation. `compute`: arithmetic type.
    void pointwise(cudnnPointwiseMode_t mode, Tensor x, Tensor b, Tensor t, Tensor y,
                   cudnnDataType_t compute = CUDNN_DATA_FLOAT, std::int64_t axis = -1);
    void reduce(cudnnReduceTensorOp_t mode, Tensor x, Tensor y);
    void matmul(Tensor a, Tensor b, Tensor c);
    void reshape(Tensor x, Tensor y);

    // For the current device; its kernels are compiled here, 0.1 s each. Throws InputError naming
    // `what` where no engine takes the graph.
    void build(const std::string& what);
    std::int64_t workspace_bytes() const { return workspace_; }
    // Device pointers of the tensors made with tensor(), in any order.
    void run(const std::map<Tensor, void*>& pointers, void* workspace, cudaStream_t stream) const;

    static constexpr Tensor kNone = 0;

  private:
    Tensor add(const Size4& size, const Size4& stride, cudnnDataType_t type, bool is_virtual,
               bool by_value);
    const CudnnDescriptor& at(Tensor t) const { return tensors_[std::size_t(t - 1)]; }
    void finish_operation(CudnnDescriptor operation);

    const CudnnLibrary& library_;
    std::vector<CudnnDescriptor> tensors_, modes_, operations_;
    std::map<Tensor, std::array<char, 4>> constants_;
    std::unique_ptr<CudnnDescriptor> graph_, config_, plan_;
    std::int64_t workspace_ = 0;
};

}  // namespace orrery::calibrate
