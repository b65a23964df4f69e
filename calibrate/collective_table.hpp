#pragma once
// The cluster profile's table of collectives inside a node, from what orrery-calibrate measured.

#include "calibrate/table.hpp"

namespace orrery::calibrate {

// Rows of table "collectives" under NCCL's own choice of algorithm, protocol and channels, as
// sim/collective/node_collectives.hpp reads them: kind, ranks, nvlink_GBps (what send_recv reaches
// at its largest size with the most ranks, in every row), bytes_sent, time_us. Throws InputError
// where a column or send_recv is missing.
Table node_collectives(const Table& collectives);

}  // namespace orrery::calibrate
