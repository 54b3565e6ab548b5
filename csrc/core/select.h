// Farthest-point selection by levels: the algorithm, once, for every device.
//
// Distances to the picks only ever fall, so a point's old distance is an upper bound of its present
// one. A level is a threshold on that bound. Points at or above it are brought up to date (catch-up)
// until they either fall below it or have seen every pick; those left are the candidates, whose
// distances are exact. As long as the best candidate is at or above the threshold no other point can
// beat it, so it is the next pick; only candidates are updated. When none is left, the next level
// starts lower. Points below the threshold are not touched at all: each remembers how many picks it has
// seen.
//
//   seed        distances of all points to the first entry of the pick list     Stages::seed
//   rank        choose a threshold that about so many points reach              Stages::value_at_rank
//   gather      list the points that reach it                                   Stages::gather
//   certify     drop those for which a near pick is found where one is likely   Stages::certify
//   catch up    bring them up to date in blocks, stop at the threshold          Stages::catch_up
//   pick        the plain loop, over the candidates only                        Stages::pick
//
// A selection goes on from an earlier one by the same stages: its picks are entries of the list that no
// point has seen, and its last value is the first threshold, above which nothing can be left. Most points
// fall below it at their first near pick, so that little of the work is done again.
//
// With weights or groups rows are ordered by keys instead of values (core/pick_order.h), which never rise
// either. What the screens compare stays the value. Where the picks end, the largest value of any free row is
// looked for as the next pick would be, in the order of values.
//
// A device implements Stages; core/levels.h decides thresholds and when to end. Exactness does not depend on
// any decision made there: any threshold gives the same picks.
#pragma once

#include <span>
#include <vector>

#include "core/control.h"
#include "core/pick_order.h"
#include "core/threshold.h"
#include "core/types.h"

namespace farpoint {

struct SelectRequest {
  Index count = 0;  // picks wanted, those of `prior` among them
  // Picks that are made: the first one, or those of an earlier call, each at a value above 0. May be empty
  // where something is kept away from: then the first pick is the farthest from that.
  std::span<const Index> prior = {};  // NOLINT(readability-redundant-member-init)
  double prior_value = kInfinity;     // no free row's distance to all of them is above this
  double minimum_value = 0;           // no pick whose stored value is below this
  bool assign = false;                // each point's nearest pick
  OrderRequest order = {};            // NOLINT(readability-redundant-member-init) weights and groups
};

struct SelectStatistics {
  Index levels = 0;
  Index pairs_screened = 0;   // (point, pick) pairs whose lower bound was computed
  Index pairs_looked_up = 0;  // those among them that certify looked at
  Index pairs_confirmed = 0;  // pairs whose bound was computed again, more finely
  Index pairs_refined = 0;    // pairs whose canonical distance was computed
  Index pairs_improved = 0;   // pairs that lowered a value
  Index bytes_work = 0;       // memory that the call counted at most, without what was spilled
  Index bytes_spilled = 0;    // in a temporary file, at most
  double seconds_seed = 0;
  double seconds_certify = 0;
  double seconds_catch_up = 0;
  double seconds_pick = 0;
  double seconds_assign = 0;
};

struct SelectResult {
  std::vector<Index> indices;
  std::vector<double> values;        // stored values; infinity for those of SelectRequest::prior
  double next_value = 0;             // the largest of a free row; 0 when no row is left
  std::vector<Index> labels;         // position in `indices`, or -1: kept away from
  std::vector<double> label_values;  // with labels: stored value to that pick
  SelectStatistics statistics;
};

// Why a pick loop returned.
enum class PickEnd { level_exhausted, complete, below_minimum };

class Stages {
 public:
  Stages() = default;
  Stages(const Stages&) = delete;
  Stages& operator=(const Stages&) = delete;
  virtual ~Stages() = default;

  // Accepts the rows as picks 0, 1, ... of the result. Called at most once, before anything else.
  virtual void accept(std::span<const Index> rows) = 0;
  // Distances of all rows to the first entry of the pick list.
  virtual void seed() = 0;
  // A value that about `rank` free rows reach, never above the largest, and 0 only when the largest is
  // 0: then every free row is a duplicate of a pick. With weights or groups a key, kClosed where no row may
  // be picked.
  virtual double value_at_rank(Index rank) = 0;
  // Lists the free rows that `threshold` admits; returns how many.
  virtual Index gather(const Threshold& threshold) = 0;
  // Lowers values of listed rows where that is cheap, and drops the rows that no longer reach the
  // threshold. Optional.
  virtual void certify(const Threshold& threshold) = 0;
  // Brings the listed rows up to date; those still admitted are the candidates. When more than
  // `capacity` are left, only the first `capacity` in the order stay, and `threshold` is raised to
  // the last of them. Returns how many there are.
  virtual Index catch_up(Threshold& threshold, Index capacity) = 0;
  // Picks from the candidates until one of PickEnd's reasons. When it is not level_exhausted, the best
  // remaining candidate's value is in `result.next_value`.
  virtual PickEnd pick(const Threshold& threshold, const SelectRequest& request, SelectResult& result) = 0;
  // From now on the order is that of values, whatever the request said. A device that knows no other has
  // nothing to do.
  virtual void order_by_value() {}
  // The free rows, once every one of them is known to be at distance 0, in row order.
  virtual void pick_duplicates(const SelectRequest& request, SelectResult& result) = 0;
  // Brings every row up to date and writes labels and label_values.
  virtual void assign(SelectResult& result) = 0;

  // Candidates that a level may have; may change from level to level.
  virtual Index capacity() const = 0;
  virtual Index free_rows() const = 0;
  virtual SelectStatistics& statistics() = 0;
};

// What stages share, on every device.

// Picks rows in their order, all at distance 0 from an earlier pick, as many as are wanted: take(i) for each
// row of which is_free(i).
template <class IsFree, class Take>
void pick_at_zero(const SelectRequest& request, Index rows, const IsFree& is_free, const Take& take,
                  SelectResult& result) {
  result.next_value = 0.0;
  if (request.minimum_value > 0.0) {
    return;
  }
  for (Index i = 0; i < rows && static_cast<Index>(result.indices.size()) < request.count; ++i) {
    if (is_free(i)) {
      take(i);
      result.indices.push_back(i);
      result.values.push_back(0.0);
    }
  }
}

}  // namespace farpoint
