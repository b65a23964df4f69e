#include "calibrate/collective_table.hpp"

#include <gtest/gtest.h>

#include "calibrate/results.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

const std::string kMeasured = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles/measured/";

Table few_rows() {
    return {"collectives",
            {"kind", "ranks", "algorithm", "protocol", "ctas_set", "bytes_sent", "time_us",
             "sent_GBps"},
            6,
            {{"all_reduce", 2.0, "default", "default", 0.0, 1024.0, 5.0, 0.2},
             {"all_reduce", 2.0, "Ring", "LL", 0.0, 1024.0, 4.0, 0.3},
             {"all_reduce", 2.0, "default", "default", 8.0, 1024.0, 6.0, 0.2},
             {"send_recv", 4.0, "default", "default", 0.0, 4e9, 11000.0, 350.0},
             {"send_recv", 4.0, "default", "default", 0.0, 1e3, 6.0, 0.2},
             {"send_recv", 2.0, "default", "default", 0.0, 8e9, 21000.0, 360.0}}};
}

// NCCL's own choice only; every row has the rate of four ranks' largest send_recv, 350 GB/s.
TEST(CollectiveTable, TakesNcclsOwnChoice) {
    const Table t = node_collectives(few_rows());
    ASSERT_EQ(t.rows.size(), 4U);
    EXPECT_EQ(t.rows[0], (Row{"all_reduce", 2.0, 350.0, 1024.0, 5.0}));
    EXPECT_EQ(t.rows[3], (Row{"send_recv", 2.0, 350.0, 8e9, 21000.0}));
}

TEST(CollectiveTable, NeedsARateToScaleWith) {
    Table t = few_rows();
    t.rows.resize(3);
    EXPECT_THROW(node_collectives(t), InputError);
}

// What the committed files hold is what the program makes of their measurements.
TEST(CollectiveTable, CommittedTablesAreTheMeasurements) {
    for (const char* file : {"h200_x2_collectives.json", "h200_x8_collectives.json"}) {
        const Results results = read_results(kMeasured + file);
        const Table made = node_collectives(results.find("collectives")->table);
        const Table& held = results.find("node_collectives")->table;
        ASSERT_EQ(made.rows.size(), held.rows.size()) << file;
        for (std::size_t i = 0; i < made.rows.size(); ++i)
            EXPECT_EQ(key_of(made.rows[i], 5), key_of(held.rows[i], 5)) << file;
    }
}

}  // namespace
}  // namespace orrery::calibrate
