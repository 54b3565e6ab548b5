// Where a point's near picks are likely to be: every point knows its few nearest of a number of centres,
// every pick lies in the list of its nearest centre. Looking into the lists of a point's nearest centres
// finds a pick within the threshold for most points that have one, at a few percent of the cost of looking at
// all picks. What is found is a valid upper bound; what is not found proves nothing. So nothing here
// needs to be exact, and the centres are sampled rows.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "core/control.h"
#include "cpu/codes.h"
#include "cpu/thread_team.h"

namespace farpoint::cpu {

class Cells {
 public:
  static constexpr int kNearest = 16;  // lists that a point knows
  // It looks into them ring by ring, the nearest first, and goes on while it has not found enough.
  static constexpr int kRings = 2;
  static constexpr std::array<int, kRings + 1> kRingEnds = {0, 4, kNearest};

  // `count` centres, at most 2^16, sampled from the rows of `codes`. `room`: what all of it is counted with.
  Cells(const CodedRows& codes, Index rows, Index count, Room room, WorkMemory& memory, ThreadTeam& team,
        Control& control);

  // The picks of one cell, rising.
  struct List {
    std::vector<std::int8_t> codes;
    std::vector<PickCode> numbers;
    std::vector<Index> picks;
  };

  // How many entries of the pick list are in the lists.
  Index size() const { return size_; }
  // Adds the next entry: a row of the matrix (`source`), or -1 with its codes.
  void append(Index source, const std::int8_t* codes, const RowCode& numbers);

  // List number `which` of row i, nearest first.
  const List& list(Index i, int which) const {
    return lists_[static_cast<std::size_t>(nearest_[static_cast<std::size_t>(i * kNearest + which)])];
  }
  Index cells() const { return static_cast<Index>(lists_.size()); }
  // The nearest of row i.
  Index cell(Index i) const { return nearest_[static_cast<std::size_t>(i * kNearest)]; }
  // How many lists there are to look into.
  int lists() const { return lists_each_; }

  // Picks below this were looked at by row i already, in that ring.
  Index looked(Index i, int ring) const { return looked_[static_cast<std::size_t>(i * kRings + ring)]; }
  void set_looked(Index i, int ring) { looked_[static_cast<std::size_t>(i * kRings + ring)] = size_; }

 private:
  using Nearest = std::array<std::uint16_t, kNearest>;
  Nearest nearest_of(const std::int8_t* codes, const RowCode& numbers) const;

  Room room_;
  const CodedRows* codes_;
  int lists_each_;
  Index size_ = 0;
  std::vector<std::int8_t> centre_codes_;
  std::vector<RowCode> centre_numbers_;
  std::vector<List> lists_;
  WorkArray<std::uint16_t> nearest_;
  WorkArray<Index> looked_;
};

}  // namespace farpoint::cpu
