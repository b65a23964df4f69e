#include "calibrate/gpu/cudnn_graph.hpp"

#include <cstring>

#include <dlfcn.h>
#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

template <class F>
bool find_entry(void* library, const char* name, F& entry) {
    entry = reinterpret_cast<F>(dlsym(library, name));
    return entry != nullptr;
}

CudnnLibrary open_library() {
    CudnnLibrary l;
    void* so = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
    decltype(&cudnnCreate) create_handle = nullptr;
    if (!so || !find_entry(so, "cudnnCreate", create_handle) ||
        !find_entry(so, "cudnnGetVersion", l.version) ||
        !find_entry(so, "cudnnGetErrorString", l.error_string) ||
        !find_entry(so, "cudnnGetLastErrorString", l.last_error) ||
        !find_entry(so, "cudnnSetStream", l.set_stream) ||
        !find_entry(so, "cudnnBackendCreateDescriptor", l.create) ||
        !find_entry(so, "cudnnBackendDestroyDescriptor", l.destroy) ||
        !find_entry(so, "cudnnBackendSetAttribute", l.set) ||
        !find_entry(so, "cudnnBackendGetAttribute", l.get) ||
        !find_entry(so, "cudnnBackendFinalize", l.finalize) ||
        !find_entry(so, "cudnnBackendExecute", l.execute))
        return {};
    if (create_handle(&l.handle) != CUDNN_STATUS_SUCCESS) l.handle = nullptr;
    return l;
}

}  // namespace

const CudnnLibrary* CudnnLibrary::find() {
    static const CudnnLibrary library = open_library();
    return library.handle ? &library : nullptr;
}

void CudnnLibrary::check(cudnnStatus_t status, const std::string& what) const {
    if (status == CUDNN_STATUS_SUCCESS) return;
    char text[512] = {};
    last_error(text, sizeof text);
    throw InputError(fmt::format("cuDNN {}: {} {}", what, error_string(status), text));
}

CudnnDescriptor::CudnnDescriptor(const CudnnLibrary& library, cudnnBackendDescriptorType_t type)
    : library_(library), type_(type) {
    library_.check(library_.create(type, &raw_), fmt::format("descriptor {}", int(type)));
}
CudnnDescriptor::~CudnnDescriptor() {
    if (raw_) library_.destroy(raw_);
}
void CudnnDescriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                          std::int64_t count, const void* values) {
    library_.check(library_.set(raw_, name, type, count, values),
                   fmt::format("attribute {} of descriptor {}", int(name), int(type_)));
}
void CudnnDescriptor::set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value) {
    const cudnnBackendDescriptor_t raw = value.raw();
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
}
cudnnStatus_t CudnnDescriptor::try_finalize() { return library_.finalize(raw_); }
void CudnnDescriptor::finalize() {
    library_.check(try_finalize(), fmt::format("descriptor {}", int(type_)));
}

CudnnGraph::Tensor CudnnGraph::add(const Size4& size, const Size4& stride, cudnnDataType_t type,
                                   bool is_virtual, bool by_value) {
    const auto id = std::int64_t(tensors_.size()) + 1, alignment = std::int64_t(16);
    CudnnDescriptor t(library_, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id);
    t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
    t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, size.data());
    t.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, stride.data());
    t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, alignment);
    t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, is_virtual);
    t.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, by_value);
    t.finalize();
    tensors_.push_back(std::move(t));
    return id;
}
CudnnGraph::Tensor CudnnGraph::tensor(const Size4& size, const Size4& stride,
                                      cudnnDataType_t type) {
    return add(size, stride, type, false, false);
}
CudnnGraph::Tensor CudnnGraph::virtual_tensor(const Size4& size, const Size4& stride,
                                              cudnnDataType_t type) {
    return add(size, stride, type, true, false);
}
CudnnGraph::Tensor CudnnGraph::constant(float value) {
    const Tensor t = add({1, 1, 1, 1}, {1, 1, 1, 1}, CUDNN_DATA_FLOAT, false, true);
    std::memcpy(constants_[t].data(), &value, 4);
    return t;
}
CudnnGraph::Tensor CudnnGraph::constant(std::int32_t value) {
    const Tensor t = add({1, 1, 1, 1}, {1, 1, 1, 1}, CUDNN_DATA_INT32, false, true);
    std::memcpy(constants_[t].data(), &value, 4);
    return t;
}

void CudnnGraph::finish_operation(CudnnDescriptor operation) {
    operation.finalize();
    operations_.push_back(std::move(operation));
}

void CudnnGraph::pointwise(cudnnPointwiseMode_t mode, Tensor x, Tensor b, Tensor t, Tensor y,
                           cudnnDataType_t compute, std::int64_t axis) {
    CudnnDescriptor m(library_, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    m.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
    m.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, compute);
    if (axis >= 0) m.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, axis);
    m.finalize();
    CudnnDescriptor o(library_, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    o.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, m);
    o.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, at(x));
    if (b) o.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, at(b));
    if (t) o.set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, at(t));
    o.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, at(y));
    modes_.push_back(std::move(m));
    finish_operation(std::move(o));
}

void CudnnGraph::reduce(cudnnReduceTensorOp_t mode, Tensor x, Tensor y) {
    CudnnDescriptor m(library_, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    m.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, mode);
    m.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    m.finalize();
    CudnnDescriptor o(library_, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    o.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, m);
    o.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, at(x));
    o.set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, at(y));
    modes_.push_back(std::move(m));
    finish_operation(std::move(o));
}

void CudnnGraph::matmul(Tensor a, Tensor b, Tensor c) {
    CudnnDescriptor m(library_, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    m.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    m.finalize();
    CudnnDescriptor o(library_, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    o.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, m);
    o.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, at(a));
    o.set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, at(b));
    o.set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, at(c));
    modes_.push_back(std::move(m));
    finish_operation(std::move(o));
}

void CudnnGraph::reshape(Tensor x, Tensor y) {
    CudnnDescriptor o(library_, CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    o.set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, at(x));
    o.set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, at(y));
    finish_operation(std::move(o));
}

void CudnnGraph::build(const std::string& what) {
    graph_ = std::make_unique<CudnnDescriptor>(library_, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    std::vector<cudnnBackendDescriptor_t> raw;
    for (const CudnnDescriptor& o : operations_) raw.push_back(o.raw());
    graph_->set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                std::int64_t(raw.size()), raw.data());
    library_.check(graph_->try_finalize(), what);

    int device = 0;
    cudaGetDevice(&device);
    CudnnDescriptor properties(library_, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    properties.set(CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, std::int32_t(device));
    properties.finalize();
    CudnnDescriptor heuristic(library_, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, *graph_);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
    library_.check(heuristic.try_finalize(), what);
    constexpr int kMostEngines = 8;
    std::vector<CudnnDescriptor> configs;
    std::vector<cudnnBackendDescriptor_t> config_raw;
    for (int i = 0; i < kMostEngines; ++i) {
        configs.emplace_back(library_, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
        config_raw.push_back(configs.back().raw());
    }
    std::int64_t found = 0;
    library_.check(
        library_.get(heuristic.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                     kMostEngines, &found, config_raw.data()),
        what);
    cudnnStatus_t status = CUDNN_STATUS_NOT_SUPPORTED;
    for (std::int64_t i = 0; i < std::min<std::int64_t>(found, kMostEngines); ++i) {
        auto plan =
            std::make_unique<CudnnDescriptor>(library_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        plan->set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties);
        plan->set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configs[std::size_t(i)]);
        status = plan->try_finalize();
        if (status != CUDNN_STATUS_SUCCESS) continue;
        config_ = std::make_unique<CudnnDescriptor>(std::move(configs[std::size_t(i)]));
        plan_ = std::move(plan);
        break;
    }
    library_.check(status, what);
    library_.check(library_.get(plan_->raw(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                CUDNN_TYPE_INT64, 1, &found, &workspace_),
                   what);
}

void CudnnGraph::run(const std::map<Tensor, void*>& pointers, void* workspace,
                     cudaStream_t stream) const {
    std::vector<std::int64_t> ids;
    std::vector<void*> data;
    for (const auto& [id, pointer] : pointers) {
        ids.push_back(id);
        data.push_back(pointer);
    }
    for (const auto& [id, value] : constants_) {
        ids.push_back(id);
        data.push_back(const_cast<char*>(value.data()));
    }
    CudnnDescriptor pack(library_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, std::int64_t(ids.size()),
             ids.data());
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, std::int64_t(data.size()),
             data.data());
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace);
    pack.finalize();
    library_.check(library_.set_stream(library_.handle, stream), "set stream");
    library_.check(library_.execute(library_.handle, plan_->raw(), pack.raw()), "execute");
}

}  // namespace orrery::calibrate
