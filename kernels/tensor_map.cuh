#pragma once
// Tensor maps of TMA for matrices read in boxes of 128 bytes a row, 128-byte swizzle.

#include <cstdint>

#include <cuda.h>
#include <cuda_runtime_api.h>

namespace orrery::kernels {

// Boxes of `box_rows` x 128 bytes of a [rows, columns], rows contiguous.
template <CUtensorMapDataType kType, int kElementBytes>
cudaError_t make_map(CUtensorMap& map, const void* data, std::int64_t rows, std::int64_t columns,
                     int box_rows) {
    using Encode =
        CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*,
                     const cuuint64_t*, const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave,
                     CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);
    static const Encode encode = [] {
        void* entry = nullptr;
        cudaDriverEntryPointQueryResult result{};
        if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry, 12000,
                                             cudaEnableDefault, &result) != cudaSuccess ||
            result != cudaDriverEntryPointSuccess)
            entry = nullptr;
        return reinterpret_cast<Encode>(entry);
    }();
    if (!encode) return cudaErrorNotSupported;
    const cuuint64_t sizes[2] = {cuuint64_t(columns), cuuint64_t(rows)},
                     stride[1] = {cuuint64_t(columns * kElementBytes)};
    const cuuint32_t box[2] = {128 / kElementBytes, cuuint32_t(box_rows)}, step[2] = {1, 1};
    const CUresult r =
        encode(&map, kType, 2, const_cast<void*>(data), sizes, stride, box, step,
               CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
               CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return r == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

inline cudaError_t make_byte_map(CUtensorMap& map, const void* data, std::int64_t rows,
                                 std::int64_t columns, int box_rows) {
    return make_map<CU_TENSOR_MAP_DATA_TYPE_UINT8, 1>(map, data, rows, columns, box_rows);
}
inline cudaError_t make_bf16_map(CUtensorMap& map, const void* data, std::int64_t rows,
                                 std::int64_t columns, int box_rows) {
    return make_map<CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2>(map, data, rows, columns, box_rows);
}

}  // namespace orrery::kernels
