#include "calibrate/collective_table.hpp"

#include <utility>

#include <fmt/format.h>

#include "calibrate/results.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {

Table node_collectives(const Table& collectives) {
    const TableView view(collectives);
    const auto own_choice = [&](std::size_t i) {
        return view.text(i, "algorithm") == "default" && view.text(i, "protocol") == "default" &&
               view.number(i, "ctas_set") == 0;
    };
    double most_ranks = 0, most_bytes = 0, rate = 0;  // of send_recv
    for (std::size_t i = 0; i < view.rows(); ++i) {
        if (!own_choice(i) || view.text(i, "kind") != "send_recv") continue;
        const double ranks = view.number(i, "ranks"), bytes = view.number(i, "bytes_sent");
        if (std::pair(ranks, bytes) <= std::pair(most_ranks, most_bytes)) continue;
        most_ranks = ranks;
        most_bytes = bytes;
        rate = view.number(i, "sent_GBps");
    }
    if (rate <= 0)
        throw InputError(fmt::format("table {}: no send_recv, whose rate the others scale with",
                                     collectives.name));
    Table table{
        "node_collectives", {"kind", "ranks", "nvlink_GBps", "bytes_sent", "time_us"}, 4, {}};
    for (std::size_t i = 0; i < view.rows(); ++i)
        if (own_choice(i))
            table.rows.push_back({view.cell(i, "kind"), view.cell(i, "ranks"), rate,
                                  view.cell(i, "bytes_sent"), view.cell(i, "time_us")});
    return table;
}

}  // namespace orrery::calibrate
