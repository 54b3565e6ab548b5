// Farthest-point selection on the CPU: what core/select.h's stages work on.
//
//   stages.cpp     seed, rank, gather, assign: passes over all rows
//   certify.cpp    the listed rows against the picks of their nearest cells
//   catch_up.cpp   the listed rows against the picks that they have not seen, as a blocked product
//   pick.cpp       the pick loop over the candidates
#pragma once

#include <array>
#include <cmath>
#include <memory>
#include <span>
#include <vector>

#include "core/control.h"
#include "core/pick_order.h"
#include "core/select.h"
#include "core/tuning.h"
#include "cpu/bit_columns.h"
#include "cpu/byte_rows.h"
#include "cpu/cells.h"
#include "cpu/codes.h"
#include "cpu/head.h"
#include "cpu/pick_list.h"
#include "cpu/points.h"
#include "cpu/row_list.h"
#include "cpu/work_memory.h"

namespace farpoint::cpu {

struct SelectProblem {
  MatrixView points;
  Metric metric = Metric::squared_euclidean;
  double scale = 1.0;               // the contract's power of two
  double largest = 1.0;             // upper bound of |element| over points and anchors
  std::span<const Index> selected;  // rows of points kept away from and never returned; no duplicates
  std::span<const Index> excluded;  // never returned, and not kept away from; none of them is in `selected`
  MatrixView anchors;               // rows kept away from; no rows: none
  SelectRequest request;
  int threads = 1;
  SimdLevel level = SimdLevel::baseline;
  bool eager = false;  // for tests: tuning::kEagerSchedule
  MemoryOptions memory;
};

// Throws Interrupted when `control` says so, LimitTooSmall where the limit on memory is. The problem has been
// validated.
SelectResult select(const SelectProblem& problem, Control& control);

// Entries that its pick list may have.
inline Index list_length(const SelectProblem& problem) {
  return problem.request.count + problem.anchors.rows + static_cast<Index>(problem.selected.size());
}

// Candidates that a level may have, with codes or without, so that the pick loop stays in the caches.
Index candidate_capacity(const tuning::Schedule& schedule, bool coded, Index dimension, int threads);

// A row that was picked, is in `selected` or is excluded: below every distance, so that no threshold admits
// it.
inline constexpr double kTaken = -1.0;

// What a screen did with the pairs that it was given.
struct ScreenCounts {
  Index screened = 0;   // lower bounds computed
  Index confirmed = 0;  // computed again, more finely
  Index refined = 0;    // canonical distances computed
  Index improved = 0;   // those that lowered a value

  ScreenCounts& operator+=(const ScreenCounts& other) {
    screened += other.screened;
    confirmed += other.confirmed;
    refined += other.refined;
    improved += other.improved;
    return *this;
  }
};

struct SelectState {
  // For a pick list of at most so many entries. What is made here is in the plan of `the_memory` already.
  SelectState(const Points& the_points, ThreadTeam& the_team, Control& the_control, WorkMemory& the_memory,
              Index most_picks, bool assign);

  bool taken(Index i) const { return values[static_cast<std::size_t>(i)] == kTaken; }
  // What row i is ordered by, as far as is known: an upper bound, as its value is.
  double key(Index i) const {
    const double value = values[static_cast<std::size_t>(i)];
    return orders.empty() ? value : orders.front().key(i, value);
  }
  // About the value at which row i has that key; no result depends on it.
  double value_at(Index i, double key) const {
    return orders.empty() ? key : orders.front().value_at(i, key);
  }
  // Canonical value between row i and entry `pick` of the list.
  double value(Index i, Index pick) const {
    return points.frame().value(points.row(i), points.self_dot(i), picks.row(pick), picks.self_dot(pick));
  }
  // The value that screens compare with: one step above the row's own where ties matter, for a label is
  // the earliest of equally near picks, and pairs are not always met in their order.
  double screened_value(double value) const {
    return labels.empty() ? value : std::nextafter(value * (1.0 + 0x1p-20), kInfinity);
  }
  // Refines a pair that was let through; true when the row's value or label changed.
  bool improve(Index i, Index pick) { return lower(i, pick, value(i, pick)); }
  // Takes note of the canonical value of a pair; true when the row's value or label changed.
  bool lower(Index i, Index pick, double found) {
    double& now = values[static_cast<std::size_t>(i)];
    if (labels.empty()) {
      if (found >= now) {
        return false;
      }
    } else {
      Index& label = labels[static_cast<std::size_t>(i)];
      if (found > now || (found == now && pick >= label)) {
        return false;
      }
      label = pick;
    }
    now = found;
    return true;
  }
  // Row i becomes an entry of the pick list that nothing may come near.
  void keep_away_from(Index i);
  // Gives back the lists, for what comes after the last level.
  void forget_lists() {
    listed = RowList(memory, 0);
    ordered = RowList(memory, 0);
  }
  // Row i becomes pick number `position` of the result, at distance `value` from what came before.
  void take(Index i, Index position, double value);

  // Codes of an entry of the pick list: of its row, or of the anchor.
  const std::int8_t* pick_codes(Index pick) const {
    const Index source = picks.source(pick);
    return source >= 0 ? codes->codes(source) : anchor_codes->codes(pick);
  }
  const RowCode& pick_numbers(Index pick) const {
    const Index source = picks.source(pick);
    return source >= 0 ? codes->numbers(source) : anchor_codes->numbers(pick);
  }

  const Points& points;
  ThreadTeam& team;
  Control& control;
  WorkMemory& memory;
  const Index most_picks;
  PickList picks;       // kept away from, then the picks
  Index kept_away = 0;  // how many of `picks` are not picks of this call
  Index free_rows;
  // With weights or groups: one of each thread, of which the first has followed all picks. Empty: rows are
  // ordered by their values.
  std::vector<PickOrder> orders;
  WorkArray<double> values;   // of each row: an upper bound; exact against its first `progress` picks
  WorkArray<Index> progress;  // entries of `picks` that the row has seen
  WorkArray<Index> labels;    // empty unless asked for: entry of `picks` that gave `values`
  RowList listed;             // rows of the level, then the candidates among them
  RowList ordered;            // the same, on the way to another order

  // What the screens work with; ScreenPlan decides which are there.
  std::unique_ptr<CodedRows> codes;         // of all rows; absent: the float32 screen is used
  std::unique_ptr<CodedRows> anchor_codes;  // by entry of `picks`
  std::unique_ptr<Cells> cells;
  std::unique_ptr<Head> head;               // the first columns of rotated rows
  Index prefix = 0;                         // so many columns of the head are used
  std::unique_ptr<CodeTiles> code_tiles;    // of the picks, in the coordinates of `codes`
  std::unique_ptr<PickCodes> whole_picks;   // the picks' numbers in these coordinates, if there are heads
  std::unique_ptr<FloatTiles> float_tiles;  // of the picks, for the float32 screen
  std::unique_ptr<ByteCoder> byte_coder;    // once bytes were thought of
  bool bytes = false;                       // whether they are used in place of float32
  std::unique_ptr<ByteTiles> byte_tiles;    // of the picks
  std::unique_ptr<BitColumns> bit_columns;  // of the picks, for packed bits

  // By the screen, and by looking into cells.
  ScreenCounts screened;
  ScreenCounts looked_up;
  SelectStatistics statistics;
};

// See Stages::certify, Stages::catch_up and Stages::pick. certify looks into the first `rings` rings of cells
// and returns how many pairs each cost, and how many it is thought to have saved catch-up.
struct LookUp {
  double spent = 0;
  double saved = 0;
};
using LookUps = std::array<LookUp, Cells::kRings>;
LookUps certify(SelectState& state, const Threshold& threshold, int rings);
Index catch_up(SelectState& state, Threshold& threshold, Index capacity);
// What catch_up does with rows of packed bits.
void catch_up_bits(SelectState& state, const Threshold& threshold, std::span<const Index> rows);
PickEnd pick(SelectState& state, const Threshold& threshold, const SelectRequest& request,
             SelectResult& result);

}  // namespace farpoint::cpu
