#include "calibrate/decode_shapes.hpp"

#include <set>

#include <gtest/gtest.h>

#include "calibrate/held_out.hpp"

namespace orrery::calibrate {
namespace {

std::set<Attention> all_shapes() {
    std::set<Attention> shapes;
    for (const auto& cases : {decode_grid(), decode_scatter(), decode_model_shapes()})
        shapes.insert(cases.begin(), cases.end());
    return shapes;
}

TEST(DecodeShapes, AreNotHeldOut) {
    const std::set<Attention> known = all_shapes();
    for (const Attention& a : held_out_shapes(2718281828).decode)
        EXPECT_FALSE(known.contains(a)) << a.sequences << " x " << a.key_length;
}

// What the kernels take: whole query heads a key head, at most 16 rows of GQA; absorbed MLA's cache
// is one head of 576.
TEST(DecodeShapes, AreTakenByTheKernels) {
    for (const Attention& a : all_shapes()) {
        EXPECT_EQ(a.pass, AttentionPass::decode);
        EXPECT_EQ(a.query_heads % a.key_heads, 0);
        if (a.query_key_dim == 576) {
            EXPECT_EQ(a.key_heads, 1);
            EXPECT_EQ(a.value_dim, 512);
        } else {
            EXPECT_LE(a.query_heads / a.key_heads * a.query_length, 16);
            EXPECT_EQ(a.query_key_dim, 128);
        }
        EXPECT_LE(bytes(Operator{"", a}).value(), 17e9);
    }
}

}  // namespace
}  // namespace orrery::calibrate
