#pragma once
// Hopper's wgmma on BF16 for attention. Operands in shared memory are panels of 64 values (128
// bytes, 128-byte swizzle) by 32 to 128 rows, as TMA writes them; a matrix is panels one after the
// other. FP32 results d of 64 x 2 n lie in a warpgroup as hopper.cuh says: lane l of warp w holds
// rows 16 w + l / 4 (d[4 j], d[4 j + 1]) and 8 further down (d[4 j + 2], d[4 j + 3]), columns
// 8 j + 2 (l % 4) and the next.

#include "kernels/hopper.cuh"

namespace orrery::kernels {

constexpr int kPanelColumns = 64, kPanelRowBytes = 128;

// An operand whose summed dimension runs along the rows of a panel: add 2 for the next 16 values of
// it, the panel's bytes / 16 for the next 64.
__device__ __forceinline__ std::uint64_t summed_along(std::uint32_t panel) {
    return operand_words(swizzled_operand(panel));
}
// A right operand whose summed dimension runs down the rows of panels of kRows, 64 columns each:
// add 128 for the next 16 rows.
template <int kRows>
__device__ __forceinline__ std::uint64_t summed_down(std::uint32_t panel) {
    constexpr std::uint64_t kWords = std::uint64_t(1024 >> 4) << 32 | std::uint64_t(1) << 62 |
                                     std::uint64_t(kRows * kPanelRowBytes >> 4) << 16;
    return kWords | ((panel & 0x3ffff) >> 4);
}

// clang-format off
#define ORRERY_D16_NAMES \
    "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define ORRERY_D16(d) \
    "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), \
    "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), \
    "+f"(d[14]), "+f"(d[15])
#define ORRERY_D32_NAMES \
    "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21," \
    "%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define ORRERY_D32(d) \
    "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), \
    "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), \
    "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), \
    "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), \
    "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
#define ORRERY_D64_NAMES \
    "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21," \
    "%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41," \
    "%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61," \
    "%62,%63"
#define ORRERY_D64(d) \
    "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), \
    "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), \
    "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), \
    "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), \
    "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), \
    "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]), \
    "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), "+f"(d[48]), \
    "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]), \
    "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), \
    "+f"(d[63])
#define ORRERY_D96_NAMES \
    "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21," \
    "%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41," \
    "%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61," \
    "%62,%63,%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81," \
    "%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"
#define ORRERY_D96(d) \
    "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), \
    "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), \
    "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), \
    "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), \
    "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), \
    "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]), \
    "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), "+f"(d[48]), \
    "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]), \
    "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), \
    "+f"(d[63]), "+f"(d[64]), "+f"(d[65]), "+f"(d[66]), "+f"(d[67]), "+f"(d[68]), "+f"(d[69]), \
    "+f"(d[70]), "+f"(d[71]), "+f"(d[72]), "+f"(d[73]), "+f"(d[74]), "+f"(d[75]), "+f"(d[76]), \
    "+f"(d[77]), "+f"(d[78]), "+f"(d[79]), "+f"(d[80]), "+f"(d[81]), "+f"(d[82]), "+f"(d[83]), \
    "+f"(d[84]), "+f"(d[85]), "+f"(d[86]), "+f"(d[87]), "+f"(d[88]), "+f"(d[89]), "+f"(d[90]), \
    "+f"(d[91]), "+f"(d[92]), "+f"(d[93]), "+f"(d[94]), "+f"(d[95])
// clang-format on

// d[64 x 32] = a[64 x 16] b[32 x 16]^T (+ d where `add`), both summed_along.
__device__ __forceinline__ void wgmma_product(float (&d)[16], std::uint64_t a, std::uint64_t b,
                                              int add) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %18, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {" ORRERY_D16_NAMES
        "}, %16, %17, add, 1, 1, 0, 0;\n}"
        : ORRERY_D16(d)
        : "l"(a), "l"(b), "r"(add));
}

// d[64 x 64] = a[64 x 16] b[64 x 16]^T (+ d where `add`), both summed_along.
__device__ __forceinline__ void wgmma_product(float (&d)[32], std::uint64_t a, std::uint64_t b,
                                              int add) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" ORRERY_D32_NAMES
        "}, %32, %33, add, 1, 1, 0, 0;\n}"
        : ORRERY_D32(d)
        : "l"(a), "l"(b), "r"(add));
}

// d[64 x 128] = a[64 x 16] b[128 x 16]^T (+ d where `add`), both summed_along.
__device__ __forceinline__ void wgmma_product(float (&d)[64], std::uint64_t a, std::uint64_t b,
                                              int add) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" ORRERY_D64_NAMES
        "}, %64, %65, add, 1, 1, 0, 0;\n}"
        : ORRERY_D64(d)
        : "l"(a), "l"(b), "r"(add));
}

// d[64 x 128] = a[64 x 16] b[16 x 128] (+ d where `add`), a in registers (two BF16 values each: row
// l / 4 and 8 further down, columns 2 (l % 4); the same 8 columns on), b summed_down.
__device__ __forceinline__ void wgmma_weighted(float (&d)[64], const std::uint32_t* a,
                                               std::uint64_t b, int add) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %69, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" ORRERY_D64_NAMES
        "}, {%64, %65, %66, %67}, %68, add, 1, 1, 1;\n}"
        : ORRERY_D64(d)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add));
}

// d[64 x 192] = a[64 x 16] b[16 x 192] (+ d where `add`), a in registers (two BF16 values each: row
// l / 4 and 8 further down, columns 2 (l % 4); the same 8 columns on), b summed_down.
__device__ __forceinline__ void wgmma_weighted(float (&d)[96], const std::uint32_t* a,
                                               std::uint64_t b, int add) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %101, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n192k16.f32.bf16.bf16 {" ORRERY_D96_NAMES
        "}, {%96, %97, %98, %99}, %100, add, 1, 1, 1;\n}"
        : ORRERY_D96(d)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add));
}

// Keeps the compiler from moving reads and writes of d across this point.
template <int kCount>
__device__ __forceinline__ void pin(float (&d)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

}  // namespace orrery::kernels
