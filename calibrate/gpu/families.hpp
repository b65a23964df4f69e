#pragma once
// The families a calibration measures. Each adds rows to the journal and skips what it holds.

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "calibrate/coverage.hpp"
#include "calibrate/gpu/device.hpp"
#include "calibrate/gpu/gemm.hpp"
#include "calibrate/gpu/measure.hpp"
#include "calibrate/journal.hpp"
#include "calibrate/shapes.hpp"

namespace orrery::calibrate {

struct Session {
    const Device& device;
    Bench& bench;
    Journal& journal;
    StoppingRule rule;
    std::function<void(const std::string&)> progress;  // one line a row
};

// Tables "gemm" (model shapes) and "gemm_grid"; columns as gemm_table().
void measure_gemm(const Session& session);
void measure_gemm_grid(const Session& session);
// Table "grouped_gemm": our FP8 grouped GEMM on DeepSeek-V3's expert shapes.
void measure_grouped_gemm(const Session& session);
// Tables "memory" and "memory_sizes".
void measure_memory(const Session& session);
// Tables "attention" and "attention_kernels": training and prefill attention, and the kernels of
// each call in their order.
void measure_attention(const Session& session);
// Tables "attention_decode", "attention_decode_shapes" (models') and "attention_decode_scatter":
// absorbed MLA and GQA over paged caches (kernels/attention_decode.hpp).
void measure_attention_decode(const Session& session);
// The shapes a run was missing, into "gemm" and "memory".
void measure_missing(const Session& session, const MissingShapes& shapes);
// Tables "sustained": each GEMM alone under continuous load, and the mix of a layer.
void measure_sustained(const Session& session, double seconds);
// Table "between_gpus": the mix of a layer under continuous load, rows of this one GPU, to be
// gathered from several.
void measure_between_gpus(const Session& session, double seconds);
// Table "launch_gap": idle time between kernels of one stream that follow each other.
void measure_launch_gap(const Session& session);
// Tables "placement", "contention_mechanism" and "contention".
void measure_placement(const Session& session);
void measure_contention_mechanism(const Session& session);
void measure_contention(const Session& session);

// Shapes spread evenly over the domains of calibrate/domains.hpp: tables "gemm_scatter",
// "gemm_fewer_sms", "grouped_scatter", "memory_scatter".
void measure_scatter(const Session& session);
// Held-out shapes from `seed` (calibrate/held_out.hpp), of the classes in `only` (none: all):
// gemm, grouped_gemm, attention, attention_decode, memory, copy. Tables "held_out_<class>",
// "held_out_gemm_fewer_sms".
void measure_held_out(const Session& session, std::uint64_t seed,
                      const std::set<std::string>& only);
// Table "copy": on GPU 0, with the host, between GPUs. What needs two GPUs is left out on one.
void measure_copy(const Session& session);
// Tables "collectives", "collective_fits" and "node_collectives": NCCL on 2, 4, 8 and all local
// GPUs.
void measure_collectives(const Session& session);
// Tables "expert_all_to_all" and "expert_contention": our dispatch and combine over NVLink, and
// GEMMs beside them and beside a kernel that writes to a peer at a set rate.
void measure_expert_all_to_all(const Session& session);

// The fastest of cuBLASLt's kernels for `c` whose clusters hold at most two CTAs and whose grid
// keeps to c.sms: what can run between communication CTAs. nullopt where there is none.
std::optional<GemmAlgorithm> small_cluster_algorithm(const Session& session,
                                                     const GemmRunner& runner, const GemmCase& c);

// One shape into table `name`.
void measure_gemm_case(const Session& session, GemmRunner& runner, const GemmCase& c,
                       const std::string& name);
Subject decode_subject(const Device& device, const Attention& a);
Subject grouped_subject(const Device& device, const GroupedCase& c);
void measure_grouped_case(const Session& session, const GroupedCase& c, const std::string& name);
void measure_memory_case(const Session& session, const MemoryCase& c, const std::string& name,
                         const std::vector<Cache>& caches = {Cache::rotating, Cache::flushed});
// Forward or backward shapes into tables `name` and `name`_kernels.
void measure_attention_cases(const Session& session, const std::vector<Attention>& cases,
                             const std::string& name);
void measure_decode_cases(const Session& session, const std::vector<Attention>& cases,
                          const std::string& name);

// Table with the columns of GEMM rows.
Table gemm_table(const std::string& name);
Row gemm_key(const GemmCase& c, int device_sms);

}  // namespace orrery::calibrate
