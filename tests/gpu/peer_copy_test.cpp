#include "kernels/peer_copy.hpp"

#include "gpu_test.hpp"
#include "kernels/gate.hpp"

namespace orrery::kernels {
namespace {

using PeerCopy = GpuTest;

// Sizes below, at and above what one round of the CTAs moves (640 threads x 14 x 16 B = 143,360 B),
// behind a gate that the host opens.
TEST_F(PeerCopy, MovesEveryByteAndNoMore) {
    int* open = nullptr;
    ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&open), 4), cudaSuccess);
    for (const std::size_t bytes : {16u, 143360u, 143376u, 5000000u * 16u})
        for (const int ctas : {1, 3, 20}) {
            std::vector<std::uint8_t> from(bytes);
            for (std::uint8_t& b : from) b = std::uint8_t(random_());
            const OnDevice<std::uint8_t> in(from), out(bytes + 16);
            *open = 0;
            wait_gate(open, 1'000'000'000, nullptr);
            copy_by_sms(in.get(), out.get(), std::int64_t(bytes), ctas, nullptr);
            *static_cast<volatile int*>(open) = 1;
            const auto got = out.host();
            EXPECT_TRUE(std::equal(from.begin(), from.end(), got.begin())) << bytes << " " << ctas;
            for (std::size_t i = bytes; i < got.size(); ++i) EXPECT_EQ(got[i], 0xff);
        }
    cudaFreeHost(open);
}

}  // namespace
}  // namespace orrery::kernels
