// Catch-up: the listed rows against the picks that they have not seen.
//
// Rows with about the same progress are packed together in blocks that fit the second-level cache; a block
// meets the pick list tile by tile (screen), survivors get their canonical distance at once (refine), so
// that the next tile is screened against the smaller value. A row that falls below the threshold leaves
// its block; gaps are closed when that saves a group.

#include <algorithm>

#include "core/tuning.h"
#include "cpu/screens.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// What one thread owns.
template <class Screen>
struct Worker {
  Worker(const Screen& screen, Index groups) : block(screen.make_block(groups)) {}

  Screen::Block block;
  std::vector<Index> candidates;
  ScreenCounts counts;
};

template <class Screen>
class CatchUp {
 public:
  CatchUp(SelectState& state, const Screen& screen, const Threshold& threshold)
      : state_(state), screen_(screen), threshold_(threshold) {}

  void run_block(Worker<Screen>& worker, std::span<const Index> rows, bool main_thread) {
    auto& block = worker.block;
    block.clear();
    block.pack(rows);
    Index begin = state_.picks.size();
    for (Index slot = 0; slot < static_cast<Index>(rows.size()); ++slot) {
      const Index row = rows[at(slot)];
      block.set_value(slot, state_.screened_value(state_.values[at(row)]));
      begin = std::min(begin, state_.progress[at(row)]);
    }
    const Index tiles = screen_.tiles();
    Index tile = begin / screen_.tile_picks();
    while (tile < tiles && block.living() > 0) {
      const Index end = std::min(tile + tuning::kTilesPerCheck, tiles);
      for (; tile < end; ++tile) {
        worker.counts.screened +=
            block.living() *
            std::min<Index>(screen_.tile_picks(), state_.picks.size() - tile * screen_.tile_picks());
        for (Index g = 0; g < block.groups(); ++g) {
          screen_pairs(screen_, block, g, tile,
                       [&](Index slot, Index pick) { meet(worker, slot, pick, tile); });
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
  // A pair that the screen let through.
  void meet(Worker<Screen>& worker, Index slot, Index pick, Index tile) {
    const Index row = worker.block.row(slot);
    if constexpr (Screen::kTwoSteps) {
      ++worker.counts.confirmed;
      if (!screen_.confirm(row, state_.screened_value(state_.values[at(row)]), pick)) {
        return;
      }
    }
    ++worker.counts.refined;
    if (!state_.improve(row, pick)) {
      return;
    }
    ++worker.counts.improved;
    const double value = state_.values[at(row)];
    if (threshold_.admits(value, row)) {
      worker.block.set_value(slot, state_.screened_value(value));
    } else {
      state_.progress[at(row)] = std::max(state_.progress[at(row)], tile * screen_.tile_picks());
      worker.block.remove(slot);
    }
  }

  SelectState& state_;
  const Screen& screen_;
  const Threshold threshold_;
};

// Lists rows by rising progress, so that blocks are even and the longest work starts first.
void order_by_progress(SelectState& state, Index tile_picks) {
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

template <class Screen>
void run(SelectState& state, const Screen& screen, const Threshold& threshold,
         std::vector<Index>& candidates) {
  const auto listed = static_cast<Index>(state.listed.size());
  order_by_progress(state, screen.tile_picks());

  // Blocks no larger than what keeps every thread busy.
  const Index group_bytes = screen.row_bytes() * screen.lanes();
  const Index share = listed / (Index{4} * state.team.size() * screen.lanes()) + 1;
  const Index groups =
      std::clamp<Index>(std::min(tuning::kBlockBytes / group_bytes, share), 1, tuning::kMaxBlockGroups);
  std::vector<Worker<Screen>> workers;
  workers.reserve(at(state.team.size()));
  for (int thread = 0; thread < state.team.size(); ++thread) {
    workers.emplace_back(screen, groups);
  }

  CatchUp<Screen> stage(state, screen, threshold);
  const std::span<const Index> rows(state.listed);
  state.team.for_each(
      listed, groups * screen.lanes(), state.control, [&](int thread, Index begin, Index end) {
        stage.run_block(workers[at(thread)], rows.subspan(at(begin), at(end - begin)), thread == 0);
      });
  state.control.throw_if_stopped();

  for (const auto& worker : workers) {
    candidates.insert(candidates.end(), worker.candidates.begin(), worker.candidates.end());
    state.screened += worker.counts;
  }
}

}  // namespace

Index catch_up(SelectState& state, Threshold& threshold, Index capacity) {
  if (state.head) {
    state.head->ensure(state.listed, state.team, state.control);
  }
  // Rows that have seen every pick are candidates as they are.
  std::vector<Index> candidates;
  std::erase_if(state.listed, [&](Index row) {
    const bool current = state.progress[at(row)] == state.picks.size();
    if (current) {
      candidates.push_back(row);
    }
    return current;
  });
  if (!state.listed.empty()) {
    if (state.codes) {
      run(state, CodeScreen(state), threshold, candidates);
    } else {
      run(state, FloatScreen(state), threshold, candidates);
    }
  }
  state.listed.swap(candidates);
  if (static_cast<Index>(state.listed.size()) > capacity) {
    keep_first(state, threshold, capacity);
  }
  return static_cast<Index>(state.listed.size());
}

}  // namespace farpoint::cpu
