#pragma once
// Max-min fair shares of links, re-solved only where something changed.
//
//   Variable v (a set of equal flows) has multiplicity times weight w_v >= 1, uses link l with
//   coefficient a_vl > 0, and may have a cap. Its level x_v is the rate of one flow per unit
//   weight.
//
//     sum over v on l of  w_v a_vl x_v  <=  C_l          for every link l          (capacity)
//     x_v <= cap_v                                                                 (cap)
//     every v is at its cap, or uses a link l that is full and on which x_v is the largest level
//
//   The last line makes the solution unique. It is found by progressive filling: all levels rise
//   together; link l is full at level y_l = (C_l - load of the variables fixed before) / (demand of
//   the others); the lowest y_l or cap comes next and fixes its variables, its bottleneck's.
//
//   Re-solving. Filling below a level y does not see changes that concern links which are full only
//   above y. A variable leaves: y = the lowest level of its links. One arrives: y = C_l / (demand
//   of all on l), which no link falls below. Variables below y stay as they are; from the changed
//   links only those that share links with variables at or above y are followed: the touched
//   component.
//
//   Where flows only end, a component that was filled before is opened again rather than collected:
//   each link keeps apart the entries of variables whose bottleneck it is (its own) and the sums
//   that filling left it with. Links are opened from y up, taking back what each put on others, and
//   filled in order; as long as they fill up in the order they did, each variable is looked at
//   twice, from its own link.
//
// Integers throughout, so that no result depends on the order of sums: capacities and levels in
// 1/1024 byte/s, coefficients in 2^-24; y_l is rounded down. Links of equal y_l are filled in one
// go from the same state, so ties have no order either; the bottleneck with the lowest index
// counts.
//
// Left out: time. FlowNetwork adds it.

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/wide_integer.hpp"
#include "network/solution_memo.hpp"

namespace orrery {

constexpr std::int64_t kRateUnit = 1024;              // capacity units in one byte/s
constexpr std::uint32_t kCoefficientUnit = 1u << 24;  // coefficient 1
constexpr std::uint32_t kNoIndex = 0xffffffffu;       // "none" inside the solver's flat arrays
constexpr std::int64_t kUnbounded = std::numeric_limits<std::int64_t>::max();

// A variable's use of one link.
struct LinkUse {
    std::uint32_t link = 0;
    std::uint32_t coefficient = kCoefficientUnit;  // load per unit of rate, in 2^-24
    bool operator==(const LinkUse&) const = default;
};

class MaxMin {
  public:
    // Links and caps are bottlenecks and share one numbering. capacity, level > 0 in 1/1024 byte/s.
    std::uint32_t add_link(std::int64_t capacity);
    std::uint32_t add_cap(std::int64_t level);

    // A variable over `route` (distinct links; empty only with a cap) of weight 0: it takes nothing
    // yet. `cap` is a number from add_cap or kNoIndex; `identity` a hash, equal for equal
    // variables.
    std::uint32_t add_variable(std::span<const LinkUse> route, std::uint32_t cap,
                               std::uint64_t identity);
    // More or fewer flows in it: the sum of their weights.
    void set_weight(std::uint32_t variable, std::uint64_t weight);
    // Of weight 0; its number is used again.
    void remove_variable(std::uint32_t variable);

    // A variable that changed its bottleneck in the last solve(); `from` is kNoIndex for a new one.
    struct Move {
        std::uint32_t variable, from;
    };
    // Makes all levels right again. Afterwards moved() and touched() say what changed. Throws
    // SimulationError where a level would fall below 1/1024 byte/s.
    void solve();
    bool is_solved() const { return dirty_.empty() && fresh_.empty() && left_.empty(); }
    const std::vector<Move>& moved() const { return moved_; }
    const std::vector<std::uint32_t>& touched() const {
        return touched_;
    }  // links with variables, levels may differ

    // Level of a link or cap: of the variables whose bottleneck it is. kUnbounded: of none.
    std::int64_t level(std::uint32_t bottleneck) const { return level_[bottleneck]; }
    std::uint32_t bottleneck(std::uint32_t variable) const { return place_[variable].bottleneck; }
    std::span<const LinkUse> route(std::uint32_t variable) const;
    std::uint32_t cap(std::uint32_t variable) const { return cap_[variable]; }
    std::uint64_t identity(std::uint32_t variable) const { return identity_[variable]; }
    bool is_cap(std::uint32_t bottleneck) const { return links_[bottleneck].is_cap; }

    std::int64_t solves() const { return solves_; }          // components filled
    std::int64_t remembered() const { return remembered_; }  // components answered from memory

  private:
    struct Entry {
        std::uint32_t variable;
        std::uint32_t other;   // the route's other link, where it has two of equal coefficient
        std::uint64_t demand;  // w_v a_vl, in 2^-24
    };
    struct Link {
        std::int64_t capacity = 0;
        std::uint64_t total = 0;          // demand of all its variables
        std::int64_t floor = kUnbounded;  // what changed here matters from this level up
        std::uint32_t round = 0;          // in which it was reached last
        std::uint32_t open = 0;           // the round in which its own are not fixed yet
        std::uint32_t part = 0;           // the last large component it was in
        std::uint32_t own = 0;            // so many of its entries are its own: the first
        bool is_cap = false, dirty = false, arrival = false;
        std::vector<Entry> entries;
    };
    // While solving: load of the variables that are fixed, demand of the others, in 2^-24 capacity
    // units. Between solves: load of the others, demand of the link's own.
    struct Filling {
        int128 load = 0;
        std::uint64_t demand = 0;
    };
    struct Hops {
        std::uint32_t first = 0;  // in uses_ and slots_
        std::uint32_t count = 0;
    };
    struct Place {
        std::uint32_t round = 0;  // in which it was put last
        std::uint32_t bottleneck = kNoIndex;
    };
    struct Key {
        std::int64_t level;
        std::uint32_t number;
        bool operator>(const Key& o) const {
            return level != o.level ? level > o.level : number > o.number;
        }
    };

    std::uint32_t take_variable();
    Hops take_hops(std::uint32_t count);
    void join(std::uint32_t variable);
    void leave(std::uint32_t variable);
    void clear_left();
    void take_out(std::uint32_t variable);
    void free_variable(std::uint32_t variable);
    void touch(std::uint32_t link, std::int64_t floor);
    std::int64_t lowest_floor();
    bool is_below_floor(const Place& place) const {
        return place.bottleneck != kNoIndex && level_[place.bottleneck] < floor_;
    }
    bool solve_alone(std::uint32_t link);
    bool is_fixed(std::uint32_t variable) const;
    bool reopen();
    void open(std::uint32_t link);
    void remember_part();
    void reach(std::uint32_t seed);
    void gather(std::uint32_t link);
    void gather_rest(std::uint32_t variable, std::uint32_t link);
    void solve_component();
    void fill();
    std::int64_t lowest_link();
    void lower_top();
    void fix_at_link(std::uint32_t link, std::int64_t level);
    void fix_at_cap(std::uint32_t variable, std::int64_t level);
    void take_rest(std::uint32_t link, std::int64_t level, std::uint64_t left);
    void load_route(std::uint32_t variable, std::uint32_t bottleneck, std::int64_t level);
    void put(std::uint32_t variable, std::uint32_t bottleneck);
    std::uint32_t hop_at(std::uint32_t variable, std::uint32_t link) const;
    void swap_entries(std::uint32_t link, std::uint32_t a, std::uint32_t b);
    void make_own(std::uint32_t variable, std::uint32_t link, bool own);
    std::int64_t share(std::uint32_t link, const Filling& fill) const;
    std::int64_t share(std::uint32_t link) const { return share(link, fill_[link]); }
    template <class Visit>
    void for_each_unfixed(Visit visit);
    MemoKey component_key();
    void recall(const SolutionMemo::Levels& levels);
    SolutionMemo::Levels component_levels() const;

    // By bottleneck.
    std::vector<Link> links_;
    std::vector<Filling> fill_;
    std::vector<std::int64_t> level_;
    // By variable.
    std::vector<Place> place_;
    std::vector<std::uint32_t> cap_;
    std::vector<std::uint64_t> weight_, identity_;
    std::vector<Hops> hops_;
    std::vector<std::uint32_t> free_variables_;
    std::vector<std::vector<std::uint32_t>> free_hops_;  // by count: starts of unused runs
    // By hop.
    std::vector<LinkUse> uses_;
    std::vector<std::uint32_t> slots_;  // place in the link's entries

    // Variables of weight 0 whose entries are taken out by the next solve, all of a link at once
    // where nothing else is left on it.
    enum class Leaving : std::uint8_t { no, yes, removed };
    std::vector<std::uint32_t> left_;
    std::vector<Leaving> leaving_;  // by variable

    std::vector<std::uint32_t> dirty_;  // links
    std::vector<std::uint32_t> fresh_;  // variables without a link, only a cap
    std::vector<Move> moved_;
    std::vector<std::uint32_t> touched_;

    // Of the component at hand.
    std::uint32_t round_ = 0;
    std::int64_t floor_ = 0;
    std::size_t unfixed_ = 0;  // uses of links by variables at or above the floor
    std::vector<std::uint32_t> part_links_, part_variables_, batch_;
    std::vector<Key> heap_, capped_;        // links by level; variables by cap
    std::vector<std::uint32_t> last_part_;  // links of the last large component; empty: none
    std::uint32_t last_part_number_ = 1;    // Link::part of them
    std::uint32_t reopened_ = 0;            // times since it was collected
    std::uint32_t endings_ = 0;             // solves in a row before which flows only ended
    SolutionMemo memo_;
    std::int64_t solves_ = 0, remembered_ = 0;
};

}  // namespace orrery
