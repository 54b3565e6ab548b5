// A selection that is spread over several engines.
//
// Each engine holds a shard of the rows and brings them up to date with what is picked anywhere: the stages
// of core/select.h up to catch-up, called from outside. Whoever calls them picks among the candidates of all
// shards (pick_among) and tells every shard what was picked. The pick lists of all shards hold the same
// entries in the same order; entries that are rows of other shards come with their elements, which are
// copied.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/control.h"
#include "cpu/stages.h"

namespace farpoint::cpu {

class Shard {
 public:
  // Throws LimitTooSmall where the limit on memory is. request.count of the problem says how many entries are
  // expected; the rest of the request but `assign`, and what the problem keeps away from, is not looked at.
  Shard(const SelectProblem& problem, Control& control);

  Index rows() const { return points_.size(); }
  Index columns() const { return frame_.dimension(); }
  Index free_rows() const { return stages_.free_rows(); }
  Index entries() const { return state_.picks.size(); }
  // Whether row i is neither picked nor kept away from.
  bool is_free(Index i) const { return !state_.taken(i); }

  // Appends entries: own[i] is the row of this shard that entry i is, or -1. `values`: the stored values at
  // which they were picked; empty where they are kept away from, which comes before all picks.
  void see(const MatrixView& rows, std::span<const Index> own, std::span<const double> values,
           Control& control);

  struct Level {
    Threshold threshold;  // admits these rows and no other free row
    std::vector<Index> rows;
    std::vector<double> values;
  };
  // The rows whose value is at least `value`, or the first `capacity` of them. Something must have been seen.
  Level level(double value, Index capacity, Control& control);

  // Upper bounds of the values of free rows.
  std::vector<double> sample(Index size) const { return stages_.sample_values(size); }
  double largest(Control& control);

  // Labels, label values and statistics; everything else of the result is empty.
  SelectResult assign(Control& control);
  const SelectStatistics& statistics() { return stages_.statistics(); }
  bool uses_codes() const { return state_.codes != nullptr; }

 private:
  // The stages keep a reference to one control; this one asks that of the call.
  class Call;

  Control* outer_ = nullptr;
  Control control_;
  WorkMemory memory_;
  ThreadTeam team_;
  Frame frame_;
  Points points_;
  CpuStages stages_;
  SelectState& state_;
  std::vector<WorkArray<std::byte>> others_;  // elements of entries that are not rows of this shard
  bool seeded_ = false;
};

struct CandidateProblem {
  MatrixView points;  // in the order of their numbers in the whole selection
  Metric metric = Metric::squared_euclidean;
  double scale = 1.0;
  double largest = 1.0;
  std::span<const double> values;  // stored values at present
  Index count = 0;                 // picks wanted
  Threshold threshold;             // admits what may be picked, in rows of `points`
  double minimum_value = 0;        // stop before a pick whose stored value is below this
  int threads = 1;
  SimdLevel level = SimdLevel::baseline;
  bool eager = false;
};

struct PickedCandidates {
  std::vector<Index> rows;
  std::vector<double> values;
  std::optional<double> next_value;  // none: no candidate is left
};

// The plain loop over the candidates alone.
PickedCandidates pick_among(const CandidateProblem& problem, Control& control);

}  // namespace farpoint::cpu
