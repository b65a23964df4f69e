#pragma once
// Hopper's wgmma on BF16 for attention: operands in shared memory as TMA writes them with 128-byte
// swizzle, pieces of 64 rows x 64 values (8,192 bytes, aligned to 1,024). FP32 results lie in a
// warpgroup as hopper.cuh says: lane l of warp w holds rows 16 w + l / 4 (d[4 j], d[4 j + 1]) and 8
// further down (d[4 j + 2], d[4 j + 3]), columns 8 j + 2 (l % 4) and the next.

#include "kernels/hopper.cuh"

namespace orrery::kernels {

constexpr int kPieceBytes = 8192;

// Rows of the piece are rows of a, or columns of b; the 64 values run along the summed dimension.
// Add 2 for the next 16 of them.
__device__ __forceinline__ std::uint64_t along_k(std::uint32_t piece) {
    return operand_words(swizzled_operand(piece));
}
// b whose summed dimension runs down the rows of the piece: 64 columns a piece, the next 64 in the
// next piece. Add 2,048 / 16 for the next 16 rows.
__device__ __forceinline__ std::uint64_t across_k(std::uint32_t piece) {
    constexpr std::uint64_t kHigh = std::uint64_t(1024 >> 4) << 32 | std::uint64_t(1) << 62 |
                                    std::uint64_t(kPieceBytes >> 4) << 16;
    return kHigh | ((piece & 0x3ffff) >> 4);
}

// d[64 x 64] = a[64 x 16] b[64 x 16]^T (+ d where `add`), both along_k.
__device__ __forceinline__ void wgmma_64x64x16(float (&d)[32], std::uint64_t a, std::uint64_t b,
                                               int add) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,"
        "%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
        "%32, %33, add, 1, 1, 0, 0;\n}"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
          "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]),
          "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
          "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]),
          "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
        : "l"(a), "l"(b), "r"(add));
}

// d[64 x 128] = a[64 x 16] b[16 x 128] (+ d where `add`), a along_k, b across_k.
__device__ __forceinline__ void wgmma_64x128x16(float (&d)[64], std::uint64_t a, std::uint64_t b,
                                                int add) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,"
        "%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,"
        "%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,"
        "%63}, "
        "%64, %65, add, 1, 1, 0, 1;\n}"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
          "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]),
          "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
          "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]),
          "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]),
          "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]),
          "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), "+f"(d[48]),
          "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]),
          "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]),
          "+f"(d[63])
        : "l"(a), "l"(b), "r"(add));
}

}  // namespace orrery::kernels
