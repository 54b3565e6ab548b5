// Which screen a selection uses, decided before each level from what the last one showed. No result
// depends on it.
//
//   float32 screen            at first; small problems, few columns, and data for which codes are too coarse
//   codes                     once a trial on sampled pairs shows that they let few through in vain (the
//   first
//                             picks' distances are those of most pairs, so codes cannot tell them apart)
//   bytes                     in place of codes for manhattan and chebyshev, after the same trial
//   + cells (cells.h)         once there are enough picks that most points have a near one
//   + heads (head.h)          once the pick list is long; catch-up chooses their prefix
#pragma once

#include <array>

#include "core/tuning.h"
#include "cpu/select.h"

namespace farpoint::cpu {

// Codes all rows and all anchors of the pick list.
void add_codes(SelectState& state);
// Codes those entries of the pick list that are not rows of the matrix and were added since.
void code_anchors(SelectState& state);
// Makes so many cells, if there is memory for them.
void make_cells(SelectState& state, Index count);
// Makes a head of that many columns, unless its bound would let every pair through; it codes rows and picks
// when they are needed.
void add_head_of(SelectState& state, const Basis& basis, Index columns);
// The share of sampled (listed row, pick) pairs that codes would let through to refinement in vain, once the
// rows' keys have fallen to `level`.
double share_in_vain(const SelectState& state, double level);
// The same of bytes. The state has a coder.
double share_of_bytes_in_vain(const SelectState& state, double level);

class ScreenPlan {
 public:
  ScreenPlan(Index count, const tuning::Schedule& schedule) : schedule_(schedule), count_(count) {}

  // Called with the rows of the level in state.listed.
  void before_level(SelectState& state, const Threshold& threshold);
  // Called with the rows that certificates have left.
  void before_catch_up(SelectState& state);
  // How many rings of cells to look into at this level: those that settle too few rows for what they cost,
  // as in data without neighbourhoods, are tried again ever more rarely.
  int rings_wanted(const SelectState& state);
  void judge_rings(const LookUps& results, int rings);

 private:
  // Entries of the pick list that the average listed row is still to meet, those to come among them.
  Index picks_left(const SelectState& state) const;
  // Whether codes, or bytes, are likely to be better than float32.
  bool worth_coding(SelectState& state, const Threshold& threshold) const;
  void drop_what_lets_too_much_through(SelectState& state);
  void add_cells(SelectState& state) const;
  void add_head(SelectState& state);

  tuning::Schedule schedule_;
  Index count_;
  Index trial_at_ = 0;  // length of the pick list from which a trial of codes is worth it
  bool heads_wanted_ = true;
  struct Rest {
    int levels_left = 0;
    int length = 0;
  };
  std::array<Rest, Cells::kRings> rests_;
  Basis basis_;        // of heads, until they are taken; none yet: no rows
  Index head_at_ = 0;  // length of the pick list when heads were thought of last
  ScreenCounts last_;  // when the screen was judged last
};

}  // namespace farpoint::cpu
