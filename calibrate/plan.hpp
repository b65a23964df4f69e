#pragma once
// What a calibration consists of: families in the order they are measured, and how far it is.

#include <set>
#include <string>
#include <vector>

namespace orrery::calibrate {

struct FamilyPlan {
    const char* name;   // "gemm_grid"
    const char* group;  // "gemm": --only takes either
    double seconds;     // about, on an H100
    const char* what;   // for people
    const char* gives;  // tables and numbers of the profile
};

// Every family, in order.
const std::vector<FamilyPlan>& all_families();
// Those that `only` names or whose group it names; all for an empty list. An unknown name is an
// InputError that lists the known ones.
std::vector<FamilyPlan> chosen_families(const std::vector<std::string>& only);
// The table of --list.
std::string family_list();

// Where a run of `families` stands.
class Progress {
  public:
    explicit Progress(std::vector<FamilyPlan> families) : families_(std::move(families)) {}
    // Family k (from 0) begins `now` seconds into the run.
    void begin(std::size_t k, double now);
    // "[2/9 gemm_grid] 0:42 elapsed, about 1:10 left". What is left is the sum of what the families
    // ahead take, stretched by how the finished ones kept to theirs.
    std::string line(double now) const;
    double seconds_left(double now) const;

  private:
    std::vector<FamilyPlan> families_;
    std::size_t at_ = 0;
    double began_ = 0;    // the family at hand
    double planned_ = 0;  // seconds planned for the finished ones
};

// "4:07"
std::string minutes(double seconds);

}  // namespace orrery::calibrate
