#pragma once
// Operators of the layer as calls that queue their kernels on a stream.

#include <functional>
#include <map>
#include <memory>

#include "calibrate/closed_loop/binding.hpp"
#include "calibrate/closed_loop/gpu/named_buffers.hpp"
#include "calibrate/gpu/cudnn_attention.hpp"
#include "calibrate/gpu/gemm.hpp"

namespace orrery::closed_loop {

using Call = std::function<void(cudaStream_t)>;

class LayerKernels {
  public:
    LayerKernels(const calibrate::Device& device, NamedBuffers& buffers);

    // `sms`: SMs that GEMMs keep to, 0 for all; then their kernels have clusters of at most two.
    // An operator whose kernels another one's call holds is an empty call.
    Call call(const Operator& op, std::int64_t sms);
    // What was chosen, one line a GEMM: for the log.
    const std::vector<std::string>& choices() const { return choices_; }

  private:
    Call gemm(const char* name, const Gemm& shape, std::int64_t sms);
    Call grouped(const char* name, const GroupedGemm& shape, std::int64_t sms);
    Call attention(const Attention& shape, std::int64_t sms);
    Call memory(const char* name, const MemoryOp& op);
    Call memory_kernel(const Wiring& wires, const calibrate::MemoryCase& c);
    calibrate::GemmAlgorithm algorithm(const calibrate::GemmCase& c);
    // The fastest of cuBLASLt's kernels for `c` whose clusters hold at most two CTAs and whose grid
    // keeps to c.sms.
    calibrate::GemmAlgorithm small_cluster_algorithm(const calibrate::GemmCase& c);

    const calibrate::Device& device_;
    NamedBuffers& buffers_;
    calibrate::GemmRunner runner_;
    std::map<calibrate::GemmCase, calibrate::GemmAlgorithm> algorithms_;
    std::map<std::pair<bool, std::int64_t>, std::shared_ptr<calibrate::CudnnAttention>> attention_;
    std::map<std::int64_t, std::shared_ptr<calibrate::Buffer>> offsets_;  // by rows a group
    std::vector<std::string> choices_;
};

}  // namespace orrery::closed_loop
