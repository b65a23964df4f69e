#include "calibrate/gpu/cudnn_attention.hpp"

#include <cmath>

#include <fmt/format.h>

#include "calibrate/gpu/cudnn_graph.hpp"
#include "core/error.hpp"

// cuDNN recognises attention by its pattern of operations (cuDNN's developer guide, "fused flash
// attention"); the order below is the one its engines know. One kernel comes out of the forward
// graph, four or more out of the backward one.

namespace orrery::calibrate {
namespace {

using Tensor = CudnnGraph::Tensor;
constexpr Tensor kNone = CudnnGraph::kNone;
constexpr auto kBf16 = CUDNN_DATA_BFLOAT16;
constexpr auto kFloat = CUDNN_DATA_FLOAT;

// Sizes (batch, head, row, column) of the tensors of one shape.
struct Layout {
    explicit Layout(const AttentionShape& s)
        : q(tokens(s.sequences, s.query_heads, s.query_length, s.query_key_dim)),
          k(tokens(s.sequences, s.key_heads, s.key_length, s.query_key_dim)),
          v(tokens(s.sequences, s.key_heads, s.key_length, s.value_dim)),
          o(tokens(s.sequences, s.query_heads, s.query_length, s.value_dim)),
          scores(packed({s.sequences, s.query_heads, s.query_length, s.key_length})),
          rows(packed({s.sequences, s.query_heads, s.query_length, 1})) {}
    struct Two {
        Size4 size, stride;
        Two transposed() const {
            return {{size[0], size[1], size[3], size[2]},
                    {stride[0], stride[1], stride[3], stride[2]}};
        }
    };
    static Two packed(const Size4& n) { return {n, {n[1] * n[2] * n[3], n[2] * n[3], n[3], 1}}; }
    static Two tokens(std::int64_t b, std::int64_t h, std::int64_t s, std::int64_t d) {
        return {{b, h, s, d}, {s * h * d, d, h * d, 1}};
    }
    Two q, k, v, o, scores, rows;
};

class Builder {
  public:
    Builder(CudnnGraph& g, const AttentionShape& s) : g_(g), s_(s), l_(s) {}

    Tensor real(const Layout::Two& t, cudnnDataType_t type) {
        return g_.tensor(t.size, t.stride, type);
    }
    Tensor inner(const Layout::Two& t, cudnnDataType_t type = kFloat) {
        return g_.virtual_tensor(t.size, t.stride, type);
    }
    Tensor apply(cudnnPointwiseMode_t mode, Tensor x, Tensor b, const Layout::Two& shape) {
        const Tensor y = inner(shape);
        g_.pointwise(mode, x, b, kNone, y);
        return y;
    }
    Tensor scale() {
        return g_.constant(
            float(s_.scale > 0 ? s_.scale : 1 / std::sqrt(double(s_.query_key_dim))));
    }
    // Scores of keys behind a query become -infinity.
    Tensor mask(Tensor scores) {
        if (!s_.causal) return scores;
        const auto type = CUDNN_DATA_INT32;
        Tensor row = inner(l_.scores, type);
        g_.pointwise(CUDNN_POINTWISE_GEN_INDEX, scores, kNone, kNone, row, kFloat, 2);
        const Tensor column = inner(l_.scores, type);
        g_.pointwise(CUDNN_POINTWISE_GEN_INDEX, scores, kNone, kNone, column, kFloat, 3);
        if (s_.query_length != s_.key_length) {
            const Tensor later = inner(l_.scores, type);
            g_.pointwise(CUDNN_POINTWISE_ADD, row, g_.constant(std::int32_t(s_.key_length)), kNone,
                         later, type);
            row = inner(l_.scores, type);
            g_.pointwise(CUDNN_POINTWISE_SUB, later, g_.constant(std::int32_t(s_.query_length)),
                         kNone, row, type);
        }
        const Tensor seen = inner(l_.scores, CUDNN_DATA_BOOLEAN);
        g_.pointwise(CUDNN_POINTWISE_CMP_GE, row, column, kNone, seen, CUDNN_DATA_BOOLEAN);
        const Tensor masked = inner(l_.scores);
        g_.pointwise(CUDNN_POINTWISE_BINARY_SELECT, scores, g_.constant(-INFINITY), seen, masked);
        return masked;
    }
    // x [.., row, column] -> BF16 [.., column, row].
    Tensor transposed(Tensor x) {
        const Tensor y = inner(l_.scores.transposed(), kBf16);
        g_.reshape(x, y);
        return y;
    }
    // y = a b where every query head has a key head, else summed over the queries' group of heads.
    void matmul_per_key_head(Tensor a, Tensor b, const Layout::Two& y_shape, Tensor y) {
        if (s_.query_heads == s_.key_heads) return g_.matmul(a, b, y);
        Size4 size = y_shape.size;
        size[1] = s_.query_heads;
        const Tensor all = inner(Layout::packed(size), kBf16);
        g_.matmul(a, b, all);
        g_.reduce(CUDNN_REDUCE_TENSOR_ADD, all, y);
    }

  private:
    CudnnGraph& g_;
    const AttentionShape& s_;
    Layout l_;
};

struct Forward {
    Forward(const CudnnLibrary& library, const AttentionShape& s) : graph(library) {
        const Layout l(s);
        Builder b(graph, s);
        q = b.real(l.q, kBf16);
        k = b.real(l.k.transposed(), kBf16);
        v = b.real(l.v, kBf16);
        o = b.real(l.o, kBf16);
        stats = b.real(l.rows, kFloat);
        const Tensor product = b.inner(l.scores);
        graph.matmul(q, k, product);
        const Tensor scores = b.mask(b.apply(CUDNN_POINTWISE_MUL, product, b.scale(), l.scores));
        const Tensor most = b.inner(l.rows), sum = b.inner(l.rows);
        graph.reduce(CUDNN_REDUCE_TENSOR_MAX, scores, most);
        const Tensor less = b.apply(CUDNN_POINTWISE_SUB, scores, most, l.scores);
        const Tensor exponential = b.apply(CUDNN_POINTWISE_EXP, less, kNone, l.scores);
        graph.reduce(CUDNN_REDUCE_TENSOR_ADD, exponential, sum);
        const Tensor log_sum = b.apply(CUDNN_POINTWISE_LOG, sum, kNone, l.rows);
        graph.pointwise(CUDNN_POINTWISE_ADD, most, log_sum, kNone, stats);
        const Tensor p = b.inner(l.scores, kBf16);
        graph.pointwise(CUDNN_POINTWISE_DIV, exponential, sum, kNone, p);
        graph.matmul(p, v, o);
        graph.build("attention forward");
    }
    CudnnGraph graph;
    Tensor q, k, v, o, stats;
};

struct Backward {
    Backward(const CudnnLibrary& library, const AttentionShape& s) : graph(library) {
        const Layout l(s);
        Builder b(graph, s);
        q = b.real(l.q, kBf16);
        k = b.real(l.k.transposed(), kBf16);
        v = b.real(l.v.transposed(), kBf16);
        o = b.real(l.o, kBf16);
        d_o = b.real(l.o, kBf16);
        stats = b.real(l.rows, kFloat);
        dq = b.real(l.q, kBf16);
        dk = b.real(l.k, kBf16);
        dv = b.real(l.v, kBf16);
        const Tensor scale = b.scale();
        // sum(do o), kept in the workspace between two kernels
        const Tensor product = b.apply(CUDNN_POINTWISE_MUL, d_o, o, l.o), dot = b.inner(l.rows);
        graph.reduce(CUDNN_REDUCE_TENSOR_ADD, product, dot);
        row_sum = b.real(l.rows, kFloat);
        graph.pointwise(CUDNN_POINTWISE_MUL, dot, graph.constant(1.0f), kNone, row_sum);
        row_sum_bytes = s.sequences * s.query_heads * s.query_length * 4;
        // p = exp(scale q k^T - stats), dv = p^T do
        Tensor scores = b.inner(l.scores);
        graph.matmul(q, k, scores);
        scores = b.apply(CUDNN_POINTWISE_MUL, scores, scale, l.scores);
        scores = b.mask(b.apply(CUDNN_POINTWISE_SUB, scores, stats, l.scores));
        const Tensor p = b.apply(CUDNN_POINTWISE_EXP, scores, kNone, l.scores);
        b.matmul_per_key_head(b.transposed(p), d_o, l.v, dv);
        // ds = p (do v^T - sum(do o)) scale
        Tensor ds = b.inner(l.scores);
        graph.matmul(d_o, v, ds);
        ds = b.apply(CUDNN_POINTWISE_SUB, ds, row_sum, l.scores);
        ds = b.apply(CUDNN_POINTWISE_MUL, ds, p, l.scores);
        ds = b.apply(CUDNN_POINTWISE_MUL, ds, scale, l.scores);
        b.matmul_per_key_head(b.transposed(ds), q, l.k, dk);
        // dq = ds k, summed in FP32 in the workspace
        const Tensor keys = b.inner(l.k);
        graph.reshape(k, keys);
        const Layout::Two packed_q = Layout::packed(l.q.size);
        dq_sum = b.real(packed_q, kFloat);
        dq_sum_bytes = s.sequences * s.query_heads * s.query_length * s.query_key_dim * 4;
        graph.matmul(ds, keys, dq_sum);
        graph.pointwise(CUDNN_POINTWISE_IDENTITY, dq_sum, kNone, kNone, dq);
        graph.build("attention backward");
    }
    std::int64_t own_bytes() const { return (row_sum_bytes + 255) / 256 * 256 + dq_sum_bytes; }
    CudnnGraph graph;
    Tensor q, k, v, o, d_o, stats, dq, dk, dv, row_sum, dq_sum;
    std::int64_t row_sum_bytes = 0, dq_sum_bytes = 0;
};

void* writable(const void* p) { return const_cast<void*>(p); }

const CudnnLibrary& library() {
    if (const CudnnLibrary* l = CudnnLibrary::find()) return *l;
    throw InputError("cuDNN: libcudnn.so.9 was not found, or there is no CUDA device");
}

}  // namespace

struct CudnnAttention::Plans {
    Plans(const AttentionShape& s, bool with_backward) : forward(library(), s) {
        if (with_backward) backward = std::make_unique<Backward>(library(), s);
    }
    Forward forward;
    std::unique_ptr<Backward> backward;
};

std::string cudnn_version() {
    const CudnnLibrary* l = CudnnLibrary::find();
    return l ? fmt::format("cuDNN {}", l->version()) : "";
}

CudnnAttention::CudnnAttention(const AttentionShape& shape, bool with_backward)
    : plans_(std::make_unique<Plans>(shape, with_backward)) {}
CudnnAttention::~CudnnAttention() = default;
CudnnAttention::CudnnAttention(CudnnAttention&&) noexcept = default;
CudnnAttention& CudnnAttention::operator=(CudnnAttention&&) noexcept = default;

std::int64_t CudnnAttention::workspace_bytes() const {
    std::int64_t bytes = plans_->forward.graph.workspace_bytes();
    if (const Backward* b = plans_->backward.get())
        bytes = std::max(bytes, (b->own_bytes() + 255) / 256 * 256 + b->graph.workspace_bytes());
    return bytes;
}

void CudnnAttention::forward(cudaStream_t stream, const void* q, const void* k, const void* v,
                             void* o, void* stats, void* workspace) const {
    const Forward& f = plans_->forward;
    f.graph.run(
        {{f.q, writable(q)}, {f.k, writable(k)}, {f.v, writable(v)}, {f.o, o}, {f.stats, stats}},
        workspace, stream);
}

void CudnnAttention::backward(cudaStream_t stream, const void* q, const void* k, const void* v,
                              const void* o, const void* d_o, const void* stats, void* dq, void* dk,
                              void* dv, void* workspace) const {
    if (!plans_->backward) throw InputError("cuDNN attention: built without its backward pass");
    const Backward& b = *plans_->backward;
    char* own = static_cast<char*>(workspace);
    const std::int64_t dq_at = (b.row_sum_bytes + 255) / 256 * 256;
    b.graph.run({{b.q, writable(q)},
                 {b.k, writable(k)},
                 {b.v, writable(v)},
                 {b.o, writable(o)},
                 {b.d_o, writable(d_o)},
                 {b.stats, writable(stats)},
                 {b.dq, dq},
                 {b.dk, dk},
                 {b.dv, dv},
                 {b.row_sum, own},
                 {b.dq_sum, own + dq_at}},
                own + (b.own_bytes() + 255) / 256 * 256, stream);
}

}  // namespace orrery::calibrate
