// Catch-up: the listed rows against the picks that they have not seen.
//
// Rows with about the same progress are packed together in blocks that fit the second-level cache; a block
// meets the pick list tile by tile (screen), survivors get their canonical distance at once (refine), so
// that the next tile is screened against the smaller value. A row that falls below the threshold leaves
// its block; gaps are closed when that saves a group.

#include <algorithm>

#include "core/tuning.h"
#include "cpu/screen_pairs.h"
#include "cpu/select.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// What one thread owns.
struct Worker {
  Worker(const Frame& frame, Index groups) : block(frame, groups) {}

  GroupBlock block;
  std::vector<Index> candidates;
  Index screened = 0;
  Index refined = 0;
};

class CatchUp {
 public:
  CatchUp(SelectState& state, const Threshold& threshold)
      : state_(state), frame_(state.points.frame()), threshold_(threshold) {}

  void run_block(Worker& worker, std::span<const Index> rows, bool main_thread) {
    GroupBlock& block = worker.block;
    block.clear();
    block.pack(state_.points, rows);
    Index begin = state_.picks.size();
    for (Index slot = 0; slot < static_cast<Index>(rows.size()); ++slot) {
      const Index row = rows[at(slot)];
      block.set_value(frame_, slot, state_.values[at(row)]);
      begin = std::min(begin, state_.progress[at(row)]);
    }
    const Index tiles = state_.picks.tiles();
    Index tile = begin / frame_.tile_picks();
    while (tile < tiles && block.living() > 0) {
      const Index end = std::min(tile + tuning::kTilesPerCheck, tiles);
      for (; tile < end; ++tile) {
        for (Index g = 0; g < block.groups(); ++g) {
          worker.screened += screen_pairs(frame_, block, g, state_.picks, tile,
                                          [&](Index slot, Index pick) { refine(worker, slot, pick, tile); });
        }
      }
      if (main_thread ? state_.control.poll() : state_.control.stopped()) {
        return;
      }
      if (block.living() <= (block.groups() - 1) * block.lanes() &&
          tiles - tile >= tuning::kMinTilesToCompact) {
        block.compact();
      }
    }
    for (Index slot = 0; slot < block.groups() * block.lanes(); ++slot) {
      const Index row = block.row(slot);
      if (row >= 0) {
        state_.progress[at(row)] = state_.picks.size();
        worker.candidates.push_back(row);
      }
    }
  }

 private:
  void refine(Worker& worker, Index slot, Index pick, Index tile) {
    const Index row = worker.block.row(slot);
    ++worker.refined;
    const double value = state_.value(row, pick);
    if (value >= state_.values[at(row)]) {
      return;
    }
    state_.values[at(row)] = value;
    if (!state_.labels.empty()) {
      state_.labels[at(row)] = pick;
    }
    if (threshold_.admits(value, row)) {
      worker.block.set_value(frame_, slot, value);
    } else {
      state_.progress[at(row)] = std::max(state_.progress[at(row)], tile * frame_.tile_picks());
      worker.block.remove(slot);
    }
  }

  SelectState& state_;
  const Frame& frame_;
  const Threshold threshold_;
};

// Lists rows by rising progress, so that blocks are even and the longest work starts first.
void order_by_progress(SelectState& state) {
  const Index tile_picks = state.points.frame().tile_picks();
  std::vector<std::size_t> ends(at(state.picks.size() / tile_picks + 2), 0);
  for (const Index row : state.listed) {
    ++ends[at(state.progress[at(row)] / tile_picks + 1)];
  }
  for (std::size_t b = 1; b < ends.size(); ++b) {
    ends[b] += ends[b - 1];
  }
  std::vector<Index> ordered(state.listed.size());
  for (const Index row : state.listed) {
    ordered[ends[at(state.progress[at(row)] / tile_picks)]++] = row;
  }
  state.listed.swap(ordered);
}

// Keeps the first `capacity` of the listed rows in the order of picking.
void keep_first(SelectState& state, Threshold& threshold, Index capacity) {
  const auto before = [&](Index a, Index b) {
    return PointKey{state.values[at(a)], a}.before(PointKey{state.values[at(b)], b});
  };
  const auto last = state.listed.begin() + (capacity - 1);
  std::nth_element(state.listed.begin(), last, state.listed.end(), before);
  threshold.last = {state.values[at(*last)], *last};
  state.listed.resize(at(capacity));
}

}  // namespace

Index catch_up(SelectState& state, Threshold& threshold, Index capacity) {
  const Frame& frame = state.points.frame();
  const int lanes = frame.lanes();
  const auto listed = static_cast<Index>(state.listed.size());
  order_by_progress(state);

  // Blocks no larger than what keeps every thread busy.
  const Index group_bytes = frame.group_floats() * static_cast<Index>(sizeof(float));
  const Index share = listed / (Index{4} * state.team.size() * lanes) + 1;
  const Index groups =
      std::clamp<Index>(std::min(tuning::kBlockBytes / group_bytes, share), 1, tuning::kMaxBlockGroups);
  std::vector<Worker> workers;
  workers.reserve(at(state.team.size()));
  for (int thread = 0; thread < state.team.size(); ++thread) {
    workers.emplace_back(frame, groups);
  }

  CatchUp stage(state, threshold);
  const std::span<const Index> rows(state.listed);
  state.team.for_each(listed, groups * lanes, state.control, [&](int thread, Index begin, Index end) {
    stage.run_block(workers[at(thread)], rows.subspan(at(begin), at(end - begin)), thread == 0);
  });
  state.control.throw_if_stopped();

  std::vector<Index> candidates;
  for (const Worker& worker : workers) {
    candidates.insert(candidates.end(), worker.candidates.begin(), worker.candidates.end());
    state.statistics.pairs_screened += worker.screened;
    state.statistics.pairs_refined += worker.refined;
  }
  state.listed.swap(candidates);
  if (static_cast<Index>(state.listed.size()) > capacity) {
    keep_first(state, threshold, capacity);
  }
  return static_cast<Index>(state.listed.size());
}

}  // namespace farpoint::cpu
