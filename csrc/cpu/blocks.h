// Blocks of points as the screens take them: the working set of one thread.
//
// A block is a number of groups of lanes, each lane a point ("slot" counts lanes over all groups). Lanes are
// filled from the front; -1 marks a lane without a point. FloatBlock holds packed float32 rows, CodeBlock
// their int8 codes (core/bounds.h); what they share is which row is where.
#pragma once

#include <span>
#include <vector>

#include "cpu/codes.h"
#include "cpu/points.h"

namespace farpoint::cpu {

class Slots {
 public:
  Slots(int lanes, Index max_groups)
      : lanes_(lanes), max_groups_(max_groups), rows_(static_cast<std::size_t>(max_groups * lanes), -1) {}

  Index capacity() const { return max_groups_ * lanes_; }
  Index groups() const { return groups_; }
  int lanes() const { return lanes_; }
  Index living() const { return living_; }
  Index row(Index slot) const { return rows_[static_cast<std::size_t>(slot)]; }

  void clear() {
    groups_ = 0;
    living_ = 0;
  }

 protected:
  // The next group, holding `rows` (at most lanes() of them); returns its number.
  Index add_group(std::span<const Index> rows);
  void free_slot(Index slot);
  // Moves points from the last groups into free slots, so that groups() is as small as it can be;
  // move(from, to) moves what the block holds of a point.
  template <class Move>
  void close_gaps(const Move& move) {
    const Index needed = (living_ + lanes_ - 1) / lanes_;
    Index free = 0;
    for (Index slot = needed * lanes_; slot < groups_ * lanes_; ++slot) {
      if (row(slot) < 0) {
        continue;
      }
      while (row(free) >= 0) {
        ++free;  // there is one below needed * lanes_: that many slots hold all the living
      }
      move(slot, free);
      rows_[static_cast<std::size_t>(free)] = row(slot);
      rows_[static_cast<std::size_t>(slot)] = -1;
    }
    groups_ = needed;
  }

 private:
  int lanes_;
  Index max_groups_;
  Index groups_ = 0;
  Index living_ = 0;
  std::vector<Index> rows_;
};

class FloatBlock : public Slots {
 public:
  FloatBlock(const Points& points, Index max_groups);

  // Appends rows (at most capacity() in all) and packs them; no value yet, so none survives a screen.
  void pack(std::span<const Index> rows);
  const float* group(Index g) const { return panel_.data() + g * group_floats_; }
  const float* bias(Index g) const { return bias_.data() + g * lanes(); }
  void set_value(Index slot, double value);
  // The slot's point leaves: it never survives a screen again.
  void remove(Index slot);
  void compact();

 private:
  const Points* points_;
  Index dimension_;
  Index group_floats_;
  std::vector<float> panel_;
  std::vector<float> bias_;
  std::vector<double> norms_;
  std::vector<float> scratch_;
};

class CodeBlock : public Slots {
 public:
  // Takes the first `columns` columns, see CodedRows::numbers. `whole`: codes of whole rows, for a second
  // look, or null.
  CodeBlock(const CodedRows& rows, Index columns, const CodedRows* whole, Index max_groups);

  void pack(std::span<const Index> rows);
  const std::uint8_t* group(Index g) const { return panel_.data() + g * lanes() * columns_; }
  const float* numbers(Index g) const { return numbers_.data() + g * lanes() * kLaneNumbers; }
  void set_value(Index slot, double value);
  void remove(Index slot);
  void compact();

  // Whether whole rows let the slot's point and a pick through, too.
  bool survives_again(Index slot, const std::int8_t* pick_codes, const PickCode& pick) const {
    const Whole& whole = wholes_[static_cast<std::size_t>(slot)];
    std::int32_t dot = 0;
    whole_->kernels().dots(whole.codes, pick_codes, 1, whole_->padded(), &dot);
    return pair_survives(dot, whole.numbers, whole.bias, pick);
  }
  // Asks for what survives_again reads.
  void prefetch_again(Index slot, const std::int8_t* pick_codes) const {
    const Whole& whole = wholes_[static_cast<std::size_t>(slot)];
    for (Index j = 0; j < whole_->padded(); j += kLine) {
      __builtin_prefetch(whole.codes + j);
      __builtin_prefetch(pick_codes + j);
    }
  }

 private:
  static constexpr Index kLine = 64;
  struct Whole {
    const std::int8_t* codes = nullptr;
    float bias = 0;
    RowCode numbers;
  };

  float& number(Index slot, int which) {
    return numbers_[static_cast<std::size_t>((slot / lanes() * kLaneNumbers + which) * lanes() +
                                             slot % lanes())];
  }

  const CodedRows* coded_;
  Index columns_;
  const CodedRows* whole_;
  std::vector<std::uint8_t> panel_;
  std::vector<float> numbers_;
  std::vector<Whole> wholes_;  // of each slot, if there are any
};

}  // namespace farpoint::cpu
