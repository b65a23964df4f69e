#pragma once
// What `orrery operator` asks and gets: how long one operator takes alone, and from which data.

#include <filesystem>
#include <string>
#include <vector>

#include "collective/communication_cost.hpp"
#include "hardware/operator_time.hpp"

namespace orrery {

struct OperatorAnswer {
    std::string kind;     // "gemm"
    std::string profile;  // accelerator or cluster
    Seconds time;
    Origin origin = Origin::assumed;
    double spread = 0;  // relative uncertainty; 0 at a measured or published point
    std::string rule;
    Flops flops;
    Bytes bytes;  // device memory traffic, at least
};

// A compute operator on an accelerator. Throws InputError: unknown profile, impossible shape or
// condition.
OperatorAnswer answer_operator(const Operator& op, const Conditions& conditions,
                               const std::string& accelerator,
                               const std::filesystem::path& profiles);
// A communication on a cluster's links. ranks_per_node 0: as many as a node has, at most the group.
OperatorAnswer answer_communication(const Communication& op, GroupPlacement placement,
                                    const std::string& cluster,
                                    const std::filesystem::path& profiles);

// Texts of the command line as enumerators; throw InputError naming the option.
Precision precision_of(const std::string& text);
GroupLayout layout_of(const std::string& text);
AttentionPass attention_pass_of(const std::string& text);
MemoryOpKind memory_kind_of(const std::string& text);
CommunicationKind communication_kind_of(const std::string& text);

// A price beside a published figure of the same shape that is no price (family gemm_cross_check).
struct CrossCheck {
    Gemm gemm;
    double predicted = 0, published = 0;  // FLOP/s
};
// A precision's tile constants as fitted anew, a row of table gemm_model.
struct FittedRow {
    Precision precision = Precision::bf16;
    std::vector<std::pair<std::string, double>> constants;  // column, value in its unit
    double error = 0, error_now = 0;  // mean |log(model / measured)|, fitted and in the profile
};
struct TableCheck {
    std::vector<TableError> tables;  // leave-one-out errors
    std::vector<CrossCheck> cross;
    std::vector<FittedRow> fitted;  // with `fit`
};
TableCheck check_tables(const std::string& accelerator, const std::filesystem::path& profiles,
                        bool fit);

}  // namespace orrery
