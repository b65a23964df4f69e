#pragma once
// Tensor maps of TMA for matrices read in boxes of 128 bytes a row, 128-byte swizzle.

#include <cstdint>

#include <cuda.h>
#include <cuda_runtime_api.h>

namespace orrery::kernels {

// A tensor of `rank` dimensions, the innermost first; strides in bytes, of all but that one. What a
// box has beyond the tensor reads as zero.
inline cudaError_t encode_map(CUtensorMap& map, CUtensorMapDataType type, cuuint32_t rank,
                              const void* data, const cuuint64_t* sizes, const cuuint64_t* strides,
                              const cuuint32_t* box) {
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
    const cuuint32_t step[3] = {1, 1, 1};
    const CUresult r =
        encode(&map, type, rank, const_cast<void*>(data), sizes, strides, box, step,
               CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
               CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return r == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

// Boxes of `box_rows` x 128 bytes of a [rows, columns], rows contiguous.
template <CUtensorMapDataType kType, int kElementBytes>
cudaError_t make_map(CUtensorMap& map, const void* data, std::int64_t rows, std::int64_t columns,
                     int box_rows) {
    const cuuint64_t sizes[2] = {cuuint64_t(columns), cuuint64_t(rows)};
    const cuuint64_t stride = cuuint64_t(columns * kElementBytes);
    const cuuint32_t box[2] = {128 / kElementBytes, cuuint32_t(box_rows)};
    return encode_map(map, kType, 2, data, sizes, &stride, box);
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
