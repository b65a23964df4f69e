#pragma once
// Folding: ranks that cannot be told apart are simulated once.
//
// Coarsest stable partition by colour refinement. A rank's first colour is (program, slowness,
// variants);
// each round refines it by the colours of the members of its groups (as a multiset) and of the
// ranks that its messages go to and come from (in order), until the number of colours stays the
// same. Then all ranks of a class see the same arrivals at the same times, so one of them stands
// for all, exactly. Links of a shared network are refined along: a link's colour is its capacity
// and the colours of the groups and ranks that load it, by how much, and theirs include its. With
// jitter every rank draws its own numbers and nothing is folded.

#include <array>
#include <cstdint>
#include <vector>

#include "replay/program.hpp"

namespace orrery {

struct RankClass {
    std::uint32_t representative = 0;  // lowest rank of the class
    std::uint32_t members = 0;
    std::array<std::uint32_t, kGroups> group{};  // group classes
    std::vector<std::uint32_t> peers;            // class of the same lane's rank, by pipeline rank
};

struct Folding {
    std::vector<RankClass> classes;
    std::vector<std::uint32_t> class_of;  // by rank
    // Per kind of group and group class: the rank classes that take part, each once.
    std::array<std::vector<std::vector<std::uint32_t>>, kGroups> group_classes;
    // Links of a shared network: the lowest of those that cannot differ from each, itself included.
    std::vector<std::uint32_t> link_representative;
};

Folding fold(const ReplayInput& input, bool enabled);

}  // namespace orrery
