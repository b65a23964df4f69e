// Tables as CSV: units in the heading, full numbers, quotes where a field needs them.
#include <gtest/gtest.h>

#include "report/table_csv.hpp"

namespace orrery {

TEST(TableCsv, HeadingsNumbersAndQuotes) {
    const ResultTable table{"t",
                            "",
                            {{"size", ""}, {"time", "s"}, {"share", "1"}, {"why", ""}},
                            {{std::int64_t{3}, 0.1, 0.5, std::string("late, \"very\"")},
                             {std::int64_t{4}, std::monostate{}, 1e-9, std::string("on time")}}};
    EXPECT_EQ(table_csv(table),
              "size,time [s],share,why\n"
              "3,0.1,0.5,\"late, \"\"very\"\"\"\n"
              "4,,1e-09,on time\n");
}

}  // namespace orrery
