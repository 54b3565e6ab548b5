// Catch-up: the listed rows against the picks that they have not seen.
//
// Rows with about the same progress are packed together in blocks that fit the second-level cache; a block
// meets the pick list tile by tile (screen), survivors get their canonical distance at once (refine), so
// that the next tile is screened against the smaller value. A row that falls below the threshold leaves
// its block; gaps are closed when that saves a group.

#include <algorithm>
#include <numeric>

#include "core/tuning.h"
#include "cpu/screens.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

struct Pair {
  Index slot;
  Index pick;
};

// What one thread owns.
template <class Screen>
struct Worker {
  Worker(const Screen& screen, Index groups) : block(screen.make_block(groups)) {}

  Screen::Block block;
  std::vector<Pair> pairs;
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
    Index end_pick = 0;
    for (Index slot = 0; slot < static_cast<Index>(rows.size()); ++slot) {
      const Index row = rows[at(slot)];
      block.set_value(slot, state_.screened_value(state_.values[at(row)]));
      begin = std::min(begin, state_.progress[at(row)]);
      end_pick = std::max(end_pick, end_for(row));
    }
    const Index tiles =
        std::min(screen_.tiles(), (end_pick + screen_.tile_picks() - 1) / screen_.tile_picks());
    Index tile = begin / screen_.tile_picks();
    while (tile < tiles && block.living() > 0) {
      const Index end = std::min(tile + tuning::kTilesPerCheck, tiles);
      for (; tile < end; ++tile) {
        worker.counts.screened +=
            block.living() *
            std::min<Index>(screen_.tile_picks(), state_.picks.size() - tile * screen_.tile_picks());
        // All groups first, so that what a second look reads is on its way.
        worker.pairs.clear();
        for (Index g = 0; g < block.groups(); ++g) {
          screen_pairs(screen_, block, g, tile, [&](Index slot, Index pick) {
            screen_.prefetch(block, slot, pick);
            worker.pairs.push_back({slot, pick});
          });
        }
        for (const Pair& pair : worker.pairs) {
          if (block.row(pair.slot) >= 0) {
            meet(worker, pair.slot, pair.pick, tile);
          }
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
      }
    }
  }

 private:
  // Picks from this one on are nothing to the row: at value 0 only an earlier pick could change the label.
  Index end_for(Index row) const {
    if (state_.values[at(row)] > 0.0) {
      return state_.picks.size();
    }
    return state_.labels.empty() ? 0 : state_.labels[at(row)];
  }

  // A pair that the screen let through.
  void meet(Worker<Screen>& worker, Index slot, Index pick, Index tile) {
    const Index row = worker.block.row(slot);
    if constexpr (Screen::kTwoSteps) {
      ++worker.counts.confirmed;
      if (!screen_.confirm(worker.block, slot, pick)) {
        return;
      }
    }
    ++worker.counts.refined;
    if (!state_.improve(row, pick)) {
      return;
    }
    ++worker.counts.improved;
    if (threshold_.admits(state_.key(row), row)) {
      worker.block.set_value(slot, state_.screened_value(state_.values[at(row)]));
    } else {
      state_.progress[at(row)] = std::max(state_.progress[at(row)], tile * screen_.tile_picks());
      worker.block.remove(slot);
    }
  }

  SelectState& state_;
  const Screen& screen_;
  const Threshold threshold_;
};

// Rows by rising progress, so that blocks are even and the longest work starts first.
std::span<const Index> by_progress(SelectState& state, std::span<const Index> rows, Index tile_picks) {
  std::vector<std::size_t> ends(at(state.picks.size() / tile_picks + 2), 0);
  for (const Index row : rows) {
    ++ends[at(state.progress[at(row)] / tile_picks + 1)];
  }
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  state.ordered.resize(rows.size());
  for (const Index row : rows) {
    state.ordered[ends[at(state.progress[at(row)] / tile_picks)]++] = row;
  }
  return state.ordered;
}

// Keeps the first `capacity` of the listed rows in the order of picking.
void keep_first(SelectState& state, Threshold& threshold, Index capacity) {
  const auto before = [&](Index a, Index b) {
    return PointKey{state.key(a), a}.before(PointKey{state.key(b), b});
  };
  Index* const last = state.listed.begin() + (capacity - 1);
  std::nth_element(state.listed.begin(), last, state.listed.end(), before);
  threshold.last = {state.key(*last), *last};
  state.listed.resize(at(capacity));
}

template <class Screen>
void run(SelectState& state, const Screen& screen, const Threshold& threshold,
         std::span<const Index> listed) {
  const auto count = static_cast<Index>(listed.size());
  const std::span<const Index> rows = by_progress(state, listed, screen.tile_picks());

  // Blocks no larger than what keeps every thread busy.
  const Index group_bytes = screen.row_bytes() * screen.lanes();
  const Index parts = state.team.size() == 1 ? 1 : Index{4} * state.team.size();
  const Index share = count / (parts * screen.lanes()) + 1;
  const Index groups =
      std::clamp<Index>(std::min(tuning::kBlockBytes / group_bytes, share), 1, tuning::kMaxBlockGroups);
  std::vector<Worker<Screen>> workers;
  workers.reserve(at(state.team.size()));
  for (int thread = 0; thread < state.team.size(); ++thread) {
    workers.emplace_back(screen, groups);
  }

  CatchUp<Screen> stage(state, screen, threshold);
  state.team.for_each(count, groups * screen.lanes(), state.control, [&](int thread, Index begin, Index end) {
    stage.run_block(workers[at(thread)], rows.subspan(at(begin), at(end - begin)), thread == 0);
  });
  state.control.throw_if_stopped();

  for (const auto& worker : workers) {
    state.screened += worker.counts;
  }
}

// The listed rows band by band, each with the prefix of the head that suits its values. Within a level these
// are much the same.
void run_bands(SelectState& state, const Threshold& threshold, std::span<Index> rows) {
  const auto listed = static_cast<Index>(rows.size());
  Index bands = 1;
  if (threshold.admits_all()) {
    bands = std::clamp<Index>(listed / tuning::kRowsPerBand, 4, tuning::kMaxBands);
    // Rows at 0 by their labels, for they end there.
    std::ranges::sort(rows, [&](Index a, Index b) {
      const double x = state.values[at(a)];
      const double y = state.values[at(b)];
      return x != y ? x < y : x == 0.0 && !state.labels.empty() && state.labels[at(a)] < state.labels[at(b)];
    });
  }
  const auto zeros =
      std::ranges::find_if(rows, [&](Index row) { return state.values[at(row)] > 0.0; }) - rows.begin();
  const auto run_band = [&](Index begin, Index end) {
    if (begin < end) {
      const std::span<const Index> band = rows.subspan(at(begin), at(end - begin));
      state.prefix = state.head->best_prefix(band, state.values, state.progress);
      run(state, CodeScreen(state), threshold, band);
    }
  };
  state.head->append_picks(state.picks, state.team, state.control);
  Index begin = 0;
  if (bands > 1) {
    run_band(0, zeros);
    begin = zeros;
  }
  const Index others = listed - begin;
  for (Index band = 0; band < bands; ++band) {
    run_band(begin + others * band / bands, begin + others * (band + 1) / bands);
  }
}

}  // namespace

Index catch_up(SelectState& state, Threshold& threshold, Index capacity) {
  if (state.head) {
    state.head->ensure(state.listed, state.team, state.control);
  }
  // Rows that have seen every pick are candidates as they are: they come first, the others catch up.
  const auto current = [&](Index row) { return state.progress[at(row)] == state.picks.size(); };
  const std::span<Index> rows(std::ranges::partition(state.listed, current));
  if (!rows.empty()) {
    if (state.head) {
      run_bands(state, threshold, rows);
    } else if (state.codes) {
      run(state, CodeScreen(state), threshold, rows);
    } else if (state.bytes) {
      run(state, ByteScreen(state), threshold, rows);
    } else if (counts_bits(state.points.frame().metric())) {
      catch_up_bits(state, threshold, rows);
    } else {
      run(state, FloatScreen(state), threshold, rows);
    }
  }
  // Those that fell below the threshold left, most before they had seen every pick.
  state.listed.erase_if([&](Index row) { return !current(row) || !threshold.admits(state.key(row), row); });
  if (static_cast<Index>(state.listed.size()) > capacity) {
    keep_first(state, threshold, capacity);
  }
  return static_cast<Index>(state.listed.size());
}

}  // namespace farpoint::cpu
