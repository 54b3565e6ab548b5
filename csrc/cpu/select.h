// Farthest-point selection on the CPU: what core/select.h's stages work on.
//
//   select.cpp     seed, rank, gather, assign: passes over all rows
//   catch_up.cpp   the listed rows against the picks that they have not seen, as a blocked product
//   pick.cpp       the pick loop over the candidates
#pragma once

#include <span>
#include <vector>

#include "core/control.h"
#include "core/select.h"
#include "cpu/pick_list.h"
#include "cpu/points.h"

namespace farpoint::cpu {

struct SelectProblem {
  MatrixView points;
  Metric metric = Metric::squared_euclidean;
  double scale = 1.0;               // the contract's power of two
  double largest = 1.0;             // upper bound of |element| over points and anchors
  std::span<const Index> selected;  // rows of points kept away from and never returned; no duplicates
  MatrixView anchors;               // rows kept away from; no rows: none
  SelectRequest request;
  int threads = 1;
  SimdLevel level = SimdLevel::baseline;
};

// Throws Interrupted when `control` says so. The problem has been validated.
SelectResult select(const SelectProblem& problem, Control& control);

// A row that was picked or is in `selected`: below every distance, so that no threshold admits it.
inline constexpr double kTaken = -1.0;

struct SelectState {
  SelectState(const Points& the_points, ThreadTeam& the_team, Control& the_control, bool assign);

  bool taken(Index i) const { return values[static_cast<std::size_t>(i)] == kTaken; }
  // Canonical value between row i and entry `pick` of the list.
  double value(Index i, Index pick) const {
    return points.frame().value(points.row(i), points.self_dot(i), picks.row(pick), picks.self_dot(pick));
  }
  // Row i becomes pick number `position` of the result, at distance `value` from what came before.
  void take(Index i, Index position, double value);

  const Points& points;
  ThreadTeam& team;
  Control& control;
  PickList picks;       // kept away from, then the picks
  Index kept_away = 0;  // how many of `picks` are not picks of this call
  Index free_rows;
  std::vector<double> values;   // of each row: an upper bound; exact against its first `progress` picks
  std::vector<Index> progress;  // entries of `picks` that the row has seen
  std::vector<Index> labels;    // empty unless asked for: entry of `picks` that gave `values`
  std::vector<Index> listed;    // rows of the level, then the candidates among them
  SelectStatistics statistics;
};

// See Stages::catch_up and Stages::pick.
Index catch_up(SelectState& state, Threshold& threshold, Index capacity);
PickEnd pick(SelectState& state, const Threshold& threshold, const SelectRequest& request,
             SelectResult& result);

// Candidates that a level may have, so that the pick loop stays in the caches.
Index candidate_capacity(Index dimension, int threads);

}  // namespace farpoint::cpu
