// Names of the operator enumerations, as they stand in files, reports and traces.

#include "hardware/operator.hpp"

namespace orrery {

std::string_view to_string(OperatorClass c) {
    switch (c) {
        case OperatorClass::gemm:
            return "gemm";
        case OperatorClass::grouped_gemm:
            return "grouped_gemm";
        case OperatorClass::attention:
            return "attention";
        case OperatorClass::memory:
            return "memory";
        case OperatorClass::communication:
            return "communication";
    }
    return "";
}

std::string_view to_string(Precision p) {
    switch (p) {
        case Precision::bf16:
            return "bf16";
        case Precision::fp8_tensor:
            return "fp8_tensor";
        case Precision::fp8_block:
            return "fp8_block";
        case Precision::int8_weight:
            return "int8_weight";
        case Precision::int4_weight:
            return "int4_weight";
    }
    return "";
}

std::string_view to_string(MemoryOpKind k) {
    switch (k) {
        case MemoryOpKind::rms_norm:
            return "rms_norm";
        case MemoryOpKind::rms_norm_backward:
            return "rms_norm_backward";
        case MemoryOpKind::cast_fp8:
            return "cast_fp8";
        case MemoryOpKind::cast_transpose:
            return "cast_transpose";
        case MemoryOpKind::transpose:
            return "transpose";
        case MemoryOpKind::cast_back:
            return "cast_back";
        case MemoryOpKind::swiglu:
            return "swiglu";
        case MemoryOpKind::swiglu_backward:
            return "swiglu_backward";
        case MemoryOpKind::rope:
            return "rope";
        case MemoryOpKind::add:
            return "add";
        case MemoryOpKind::copy:
            return "copy";
        case MemoryOpKind::router:
            return "router";
        case MemoryOpKind::permute:
            return "permute";
        case MemoryOpKind::unpermute:
            return "unpermute";
        case MemoryOpKind::embedding:
            return "embedding";
        case MemoryOpKind::cross_entropy:
            return "cross_entropy";
        case MemoryOpKind::adamw:
            return "adamw";
        case MemoryOpKind::zero:
            return "zero";
        case MemoryOpKind::norm_reduce:
            return "norm_reduce";
        case MemoryOpKind::attention_preprocess:
            return "attention_preprocess";
        case MemoryOpKind::attention_postprocess:
            return "attention_postprocess";
    }
    return "";
}

std::string_view to_string(CommunicationKind k) {
    switch (k) {
        case CommunicationKind::all_reduce:
            return "all_reduce";
        case CommunicationKind::all_gather:
            return "all_gather";
        case CommunicationKind::reduce_scatter:
            return "reduce_scatter";
        case CommunicationKind::all_to_all:
            return "all_to_all";
        case CommunicationKind::broadcast:
            return "broadcast";
        case CommunicationKind::send_recv:
            return "send_recv";
        case CommunicationKind::expert_dispatch:
            return "expert_dispatch";
        case CommunicationKind::expert_combine:
            return "expert_combine";
    }
    return "";
}

std::string_view to_string(Group g) {
    switch (g) {
        case Group::none:
            return "none";
        case Group::tensor:
            return "tensor";
        case Group::expert:
            return "expert";
        case Group::data:
            return "data";
        case Group::data_expert:
            return "data_expert";
        case Group::context:
            return "context";
        case Group::pipeline:
            return "pipeline";
    }
    return "";
}

}  // namespace orrery
