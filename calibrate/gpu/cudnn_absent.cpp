// Stands in for cudnn_attention.cpp where cuDNN's headers were not found when building.

#include "calibrate/gpu/cudnn_attention.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {

struct CudnnAttention::Plans {};

std::string cudnn_version() { return ""; }

CudnnAttention::CudnnAttention(const AttentionShape&, bool) {
    throw InputError("cuDNN: this program was built without its headers");
}
CudnnAttention::~CudnnAttention() = default;
CudnnAttention::CudnnAttention(CudnnAttention&&) noexcept = default;
CudnnAttention& CudnnAttention::operator=(CudnnAttention&&) noexcept = default;
std::int64_t CudnnAttention::workspace_bytes() const { return 0; }
void CudnnAttention::forward(cudaStream_t, const void*, const void*, const void*, void*, void*,
                             void*) const {}
void CudnnAttention::backward(cudaStream_t, const void*, const void*, const void*, const void*,
                              const void*, const void*, void*, void*, void*, void*) const {}

}  // namespace orrery::calibrate
