#include "calibrate/gpu/gemm.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "calibrate/gpu/check.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

constexpr std::int64_t kWorkspaceBytes = 64ll << 20;
constexpr std::int64_t kRotateBytes = 256ll
                                      << 20;  // operand sets together: five times an H100's L2

std::int64_t round_up(std::int64_t v, std::int64_t step) { return (v + step - 1) / step * step; }

}  // namespace

// Descriptors and sizes of one case; A is W transposed, B is X, D is Y, column-major.
struct GemmRunner::Problem {
    cublasLtMatmulDesc_t op = nullptr;
    cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
    std::int64_t a_bytes = 0, b_bytes = 0, d_bytes = 0, a_scale_bytes = 0, b_scale_bytes = 0;
    int sets = 1;
    bool fp8 = false, accumulate = false;
    cublasLtMatmulAlgo_t algorithm{};
    ~Problem() {
        cublasLtMatrixLayoutDestroy(a);
        cublasLtMatrixLayoutDestroy(b);
        cublasLtMatrixLayoutDestroy(d);
        cublasLtMatmulDescDestroy(op);
    }
    template <class T>
    void set(cublasLtMatmulDescAttributes_t attribute, T value) const {
        ORRERY_CHECK(cublasLtMatmulDescSetAttribute(op, attribute, &value, sizeof value));
    }
};

GemmRunner::GemmRunner(const Device& device) : device_(device), workspace_(kWorkspaceBytes) {
    ORRERY_CHECK(cublasLtCreate(&handle_));
}
GemmRunner::~GemmRunner() { cublasLtDestroy(handle_); }

std::shared_ptr<GemmRunner::Problem> GemmRunner::problem(const GemmCase& c) const {
    const auto [m, n, k, precision, accumulate] = c.gemm;
    auto p = std::make_shared<Problem>();
    p->fp8 = precision != Precision::bf16;
    p->accumulate = accumulate;
    const bool block = precision == Precision::fp8_block;
    const auto in = p->fp8 ? CUDA_R_8F_E4M3 : CUDA_R_16BF;
    const bool fp32_out = accumulate || c.fp32_output;
    const bool both_vectors = block && fp32_out;
    ORRERY_CHECK(cublasLtMatmulDescCreate(&p->op, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    p->set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    p->set(CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N);
    if (c.sms > 0) p->set(CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, std::int32_t(c.sms));
    if (p->fp8) p->set(CUBLASLT_MATMUL_DESC_FAST_ACCUM, std::int8_t(0));
    const std::int64_t k_blocks = (k + 127) / 128;
    if (block) {
        const auto vec = CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F;
        p->set(CUBLASLT_MATMUL_DESC_A_SCALE_MODE,
               both_vectors ? vec : CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F);
        p->set(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, vec);
        p->a_scale_bytes =
            4 * (both_vectors ? n * k_blocks : round_up(k_blocks, 4) * ((n + 127) / 128));
        p->b_scale_bytes = 4 * m * k_blocks;
    } else if (p->fp8) {
        p->a_scale_bytes = p->b_scale_bytes = 4;
    }
    if (p->fp8) {  // cuBLASLt offers block-scaled kernels only where the scales are already set
        const void* scales = device_.arena().scales.as<void>();
        p->set(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, scales);
        p->set(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, scales);
    }
    ORRERY_CHECK(cublasLtMatrixLayoutCreate(&p->a, in, std::uint64_t(k), std::uint64_t(n), k));
    ORRERY_CHECK(cublasLtMatrixLayoutCreate(&p->b, in, std::uint64_t(k), std::uint64_t(m), k));
    ORRERY_CHECK(cublasLtMatrixLayoutCreate(&p->d, fp32_out ? CUDA_R_32F : CUDA_R_16BF,
                                            std::uint64_t(n), std::uint64_t(m), n));
    const std::int64_t element = p->fp8 ? 1 : 2;
    p->a_bytes = round_up(n * k * element, 1024);
    p->b_bytes = round_up(m * k * element, 1024);
    p->d_bytes = round_up(m * n * (fp32_out ? 4 : 2), 1024);
    p->a_scale_bytes = round_up(p->a_scale_bytes, 1024);
    p->b_scale_bytes = round_up(p->b_scale_bytes, 1024);
    const Arena& arena = device_.arena();
    const std::int64_t operands = p->fp8 ? arena.e4m3.bytes() : arena.bf16.bytes();
    const std::int64_t fit =
        std::min({operands / (p->a_bytes + p->b_bytes), arena.out.bytes() / p->d_bytes,
                  arena.scales.bytes() / (p->a_scale_bytes + p->b_scale_bytes + 1)});
    if (fit < 1) throw InputError(describe(c) + ": does not fit the device's memory");
    const std::int64_t wanted = 1 + kRotateBytes / (p->a_bytes + p->b_bytes + p->d_bytes);
    p->sets = int(std::min({fit, wanted, std::int64_t(16)}));
    return p;
}

std::vector<GemmAlgorithm> GemmRunner::algorithms(const GemmCase& c, int most) const {
    const auto p = problem(c);
    cublasLtMatmulPreference_t preference = nullptr;
    ORRERY_CHECK(cublasLtMatmulPreferenceCreate(&preference));
    const std::size_t workspace = kWorkspaceBytes;
    ORRERY_CHECK(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace));
    std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<std::size_t>(most));
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        handle_, p->op, p->a, p->b, p->d, p->d, preference, most, found.data(), &count);
    cublasLtMatmulPreferenceDestroy(preference);
    std::vector<GemmAlgorithm> result;
    if (status != CUBLAS_STATUS_SUCCESS) return result;
    for (int i = 0; i < count; ++i) {
        if (found[i].state != CUBLAS_STATUS_SUCCESS) continue;
        GemmAlgorithm g{found[i].algo, 0, 0, found[i].wavesCount};
        std::uint16_t cluster = 0;
        std::uint32_t tile = 0;
        std::size_t written = 0;
        cublasLtMatmulAlgoConfigGetAttribute(&g.algorithm, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID,
                                             &cluster, sizeof cluster, &written);
        cublasLtMatmulAlgoConfigGetAttribute(&g.algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID, &tile,
                                             sizeof tile, &written);
        g.cluster_shape = cluster;
        g.tile = int(tile);
        result.push_back(g);
    }
    return result;
}

std::optional<GemmAlgorithm> GemmRunner::with_cluster(const GemmCase& c,
                                                      const GemmAlgorithm& algorithm,
                                                      int cluster_shape) const {
    const auto p = problem(c);
    GemmAlgorithm changed = algorithm;
    const auto shape = std::uint16_t(cluster_shape);
    if (cublasLtMatmulAlgoConfigSetAttribute(&changed.algorithm,
                                             CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, &shape,
                                             sizeof shape) != CUBLAS_STATUS_SUCCESS)
        return std::nullopt;
    cublasLtMatmulHeuristicResult_t result{};
    if (cublasLtMatmulAlgoCheck(handle_, p->op, p->a, p->b, p->d, p->d, &changed.algorithm,
                                &result) != CUBLAS_STATUS_SUCCESS ||
        result.workspaceSize > std::size_t(kWorkspaceBytes))
        return std::nullopt;
    changed.cluster_shape = cluster_shape;
    return changed;
}

std::vector<GemmAlgorithm> GemmRunner::small_cluster_candidates(const GemmCase& c) const {
    std::vector<GemmAlgorithm> candidates;
    GemmCase whole = c;
    whole.sms = 0;
    const auto own = algorithms(c, 64);
    for (const auto& found : {own, algorithms(whole, 64)})
        for (const GemmAlgorithm& a : found)
            if (cluster_ctas(a.cluster_shape) <= kMostClusterCtas && candidates.size() < 8)
                candidates.push_back(a);
    for (std::size_t i = 0; i < std::min<std::size_t>(own.size(), 4); ++i)
        for (const int shape : {CUBLASLT_CLUSTER_SHAPE_2x1x1, CUBLASLT_CLUSTER_SHAPE_1x2x1})
            if (const auto a = with_cluster(c, own[i], shape)) candidates.push_back(*a);
    return candidates;
}

GemmBytes GemmRunner::bytes(const GemmCase& c) const {
    const auto p = problem(c);
    return {p->b_bytes, p->a_bytes, p->b_scale_bytes, p->a_scale_bytes, p->d_bytes};
}

std::function<void(const GemmOperands&, cudaStream_t)> GemmRunner::launcher(
    const GemmCase& c, const GemmAlgorithm& algorithm) const {
    const auto p = problem(c);
    p->algorithm = algorithm.algorithm;
    return [this, p](const GemmOperands& o, cudaStream_t stream) {
        if (p->fp8) {
            p->set(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, o.w_scales);
            p->set(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, o.x_scales);
        }
        const float one = 1, beta = p->accumulate ? 1.f : 0.f;
        ORRERY_CHECK(cublasLtMatmul(handle_, p->op, &one, o.w, p->a, o.x, p->b, &beta, o.y, p->d,
                                    o.y, p->d, &p->algorithm, workspace_.as<void>(),
                                    kWorkspaceBytes, stream));
    };
}

Subject GemmRunner::subject(const GemmCase& c, const GemmAlgorithm& algorithm) const {
    const auto p = problem(c);
    const auto launch = [this, p, run = launcher(c, algorithm)](int set, cudaStream_t stream) {
        const Arena& arena = device_.arena();
        const char* operands = p->fp8 ? arena.e4m3.as<char>() : arena.bf16.as<char>();
        const char* w = operands + set * (p->a_bytes + p->b_bytes);
        const char* w_scales =
            arena.scales.as<char>() + set * (p->a_scale_bytes + p->b_scale_bytes);
        run({w + p->a_bytes, w, w_scales + p->a_scale_bytes, w_scales,
             arena.out.as<char>() + set * p->d_bytes},
            stream);
    };
    return {describe(c), p->sets, launch};
}

int cluster_ctas(int shape) {
    switch (shape) {
        case CUBLASLT_CLUSTER_SHAPE_AUTO:
        case CUBLASLT_CLUSTER_SHAPE_1x1x1:
            return 1;
        case CUBLASLT_CLUSTER_SHAPE_2x1x1:
        case CUBLASLT_CLUSTER_SHAPE_1x2x1:
            return 2;
        case CUBLASLT_CLUSTER_SHAPE_4x1x1:
        case CUBLASLT_CLUSTER_SHAPE_1x4x1:
        case CUBLASLT_CLUSTER_SHAPE_2x2x1:
            return 4;
        case CUBLASLT_CLUSTER_SHAPE_4x2x1:
        case CUBLASLT_CLUSTER_SHAPE_2x4x1:
        case CUBLASLT_CLUSTER_SHAPE_8x1x1:
        case CUBLASLT_CLUSTER_SHAPE_1x8x1:
            return 8;
        default:
            return 99;
    }
}

std::string describe(const GemmCase& c) {
    return fmt::format("{}{} {}x{}x{}{}", to_string(c.gemm.precision),
                       c.gemm.accumulate ? " accumulate" : "", c.gemm.m, c.gemm.n, c.gemm.k,
                       c.sms ? fmt::format(" on {} SMs", c.sms) : "");
}

}  // namespace orrery::calibrate
