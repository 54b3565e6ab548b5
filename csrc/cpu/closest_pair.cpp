// The closest pair of a set of rows: every pair i < j against the best so far, shared by all threads.
//
// The smaller the best, the coarser the screen that suffices. So large problems first look for a near pair
// where one is likely, among rows of one cell, and then sweep over all pairs by heads of a few columns.

#include <cmath>
#include <mutex>

#include "cpu/memory_plan.h"
#include "cpu/screen_plan.h"
#include "cpu/sweep.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

bool comes_before(const ClosestPair& a, const ClosestPair& b) {
  return a.value < b.value || (a.value == b.value && (a.i < b.i || (a.i == b.i && a.j < b.j)));
}

class BestPair {
 public:
  ClosestPair get() const {
    const std::scoped_lock lock(mutex_);
    return best_;
  }
  // Returns the best after offering.
  ClosestPair offer(const ClosestPair& pair) {
    const std::scoped_lock lock(mutex_);
    if (comes_before(pair, best_)) {
      best_ = pair;
    }
    return best_;
  }

 private:
  mutable std::mutex mutex_;
  ClosestPair best_;
};

// What a pair (i, j > i) must be below to matter when `best` is known. A pair at the very same value matters
// if it comes earlier: in rows before the best's, and in its own, for the best may have been found among rows
// of one cell, before earlier j of others.
double bound_for_row(Index i, const ClosestPair& best) {
  return i <= best.i ? std::nextafter(best.value * (1 + 0x1p-20), kInfinity) : best.value;
}

template <class Screen>
class PairSweep {
 public:
  PairSweep(const Points& points, BestPair& shared) : points_(points), shared_(shared) {}

  // Rows [begin, ...) of the block against the rows of the screen (from row `offset`) above them.
  void run(Screen::Block& block, Index begin, const Screen& screen, Index offset, Control& control,
           int thread) {
    ClosestPair best = shared_.get();
    if (best.value == 0.0 && begin > best.i) {
      return;  // nothing is below 0
    }
    set_bounds(block, best);
    const Frame& frame = points_.frame();
    const Index first_tile = std::max<Index>(0, begin + 1 - offset) / screen.tile_picks();
    for (Index tile = first_tile; tile < screen.tiles(); ++tile) {
      bool improved = false;
      for (Index g = 0; g < block.groups(); ++g) {
        screen_pairs(screen, block, g, tile, [&](Index slot, Index pick) {
          const Index i = block.row(slot);
          const Index j = offset + pick;
          if (j <= i || !screen.confirm(block, slot, pick)) {
            return;
          }
          const double value =
              frame.value(points_.row(i), points_.self_dot(i), points_.row(j), points_.self_dot(j));
          if (value <= best.value) {
            best = shared_.offer({value, i, j});
            improved = true;
          }
        });
      }
      if (improved) {
        set_bounds(block, best);
      }
      if (tile % tuning::kTilesPerCheck == 0) {
        if (stop_requested(control, thread)) {
          return;
        }
        if (const ClosestPair now = shared_.get(); comes_before(now, best)) {
          best = now;
          set_bounds(block, best);
        }
      }
    }
  }

 private:
  void set_bounds(Screen::Block& block, const ClosestPair& best) const {
    for (Index slot = 0; slot < block.groups() * block.lanes(); ++slot) {
      if (const Index row = block.row(slot); row >= 0) {
        block.set_value(slot, bound_for_row(row, best));
      }
    }
  }

  const Points& points_;
  BestPair& shared_;
};

void sweep_chunks(const Points& points, BestPair& shared, WorkMemory& memory, ThreadTeam& team,
                  Control& control) {
  const Frame& frame = points.frame();
  const Index groups = groups_in_block(frame.dimension() * static_cast<Index>(sizeof(float)), frame.lanes(),
                                       points.size(), team.size());
  ThreadBlocks<FloatBlock> blocks(team.size(), [&] { return FloatBlock(points, groups); });
  PairSweep<FloatChunk> sweep(points, shared);
  for (Index offset = 0; offset < points.size() && !control.poll(); offset += tuning::kChunkRows) {
    const Index end_row = std::min(offset + tuning::kChunkRows, points.size());
    const FloatChunk chunk(points, offset, end_row, memory);
    team.for_each(end_row, blocks.rows(), control, [&](int thread, Index begin, Index end) {
      sweep.run(blocks.fill(thread, begin, end), begin, chunk, offset, control, thread);
    });
  }
}

// Packed bits: rows by columns, a chunk at a time, and before it the rows that come before its last.
void sweep_bits(const Points& points, BestPair& shared, WorkMemory& memory, ThreadTeam& team,
                Control& control) {
  const Frame& frame = points.frame();
  for (Index offset = 0; offset < points.size() && !control.poll(); offset += tuning::kChunkRows) {
    const Index end_row = std::min(offset + tuning::kChunkRows, points.size());
    const BitColumns columns = columns_of(points, offset, end_row, memory);
    team.for_each(end_row - 1, rows_of_bits(frame), control, [&](int, Index begin, Index end) {
      BitLists list(frame);
      ClosestPair best = shared.get();
      for (Index i = begin; i < end && (best.value > 0.0 || i <= best.i); ++i) {
        const SetBits set = list.only(points.row(i));
        const Index first = std::max(i + 1 - offset, Index{0});
        for (Index block = first / kBlockPicks; block < columns.blocks(); ++block) {
          const BitBound bound =
              bit_bound(frame.metric(), static_cast<double>(set.size()), bound_for_row(i, best));
          columns.screen(set, bound, block, first, [&](Index j, double value) {
            if (value <= best.value) {
              best = shared.offer({value, i, offset + j});
            }
          });
        }
      }
    });
  }
}

// Pairs within each cell, where there is memory for cells.
void look_in_cells(SelectState& state, BestPair& shared, Index cells) {
  const Points& points = state.points;
  const CodedRows& codes = *state.codes;
  make_cells(state, cells);
  if (!state.cells) {
    return;
  }
  for (Index i = 0; i < points.size(); ++i) {
    state.cells->append(i, codes.codes(i), codes.numbers(i));
    if (i % tuning::kRowsPerTask == 0 && state.control.poll()) {
      break;
    }
  }
  state.control.throw_if_stopped();
  state.team.for_each(points.size(), tuning::kRowsPerLook, state.control, [&](int, Index begin, Index end) {
    std::vector<std::int32_t> dots;
    ClosestPair best = shared.get();
    for (Index i = begin; i < end; ++i) {
      if (best.value == 0.0 && i >= best.i) {
        return;  // nothing is below 0
      }
      const Cells::List& list = state.cells->list(i, 0);
      const Index first = std::ranges::upper_bound(list.picks, i) - list.picks.begin();
      const Index count = std::min(static_cast<Index>(list.picks.size()) - first, tuning::kMostLookUps);
      dots.resize(at(count));
      codes.kernels().dots(codes.codes(i), list.codes.data() + first * codes.padded(), count, codes.padded(),
                           dots.data());
      const RowCode& point = codes.numbers(i);
      const auto bias = [&] {
        return codes.bound().point_bias(static_cast<double>(point.squared_norm), bound_for_row(i, best));
      };
      float now = bias();
      for (Index b = 0; b < count; ++b) {
        if (pair_survives(dots[at(b)], point, now, list.numbers[at(first + b)])) {
          const Index j = list.picks[at(first + b)];
          best = shared.offer(
              {points.frame().value(points.row(i), points.self_dot(i), points.row(j), points.self_dot(j)), i,
               j});
          now = bias();
        }
      }
    }
  });
  state.control.throw_if_stopped();
  state.cells.reset();
}

// False when codes would let too much through; what was found so far is in `shared`.
bool sweep_codes(const DistanceProblem& problem, const Points& points, BestPair& shared, WorkMemory& memory,
                 ThreadTeam& team, Control& control) {
  const tuning::Schedule& schedule = tuning::schedule(problem.eager);
  const Index n = points.size();
  SelectState state(points, team, control, memory, n, false);
  for (Index i = 0; i < n; ++i) {
    state.picks.append(points.row(i), points.self_dot(i), i);
  }
  state.listed.resize(at(n));
  std::iota(state.listed.begin(), state.listed.end(), Index{0});
  add_codes(state);
  look_in_cells(
      state, shared,
      std::clamp<Index>(static_cast<Index>(std::sqrt(static_cast<double>(n))), 1, tuning::kMaxCells));
  const ClosestPair near = shared.get();
  if (near.value == 0.0 && near.i == 0) {
    // Only another j of row 0 could come before it, and the chunked sweep is short.
    return false;
  }
  std::ranges::fill(state.values, near.value);
  if (share_in_vain(state, kInfinity) > schedule.max_in_vain_at_trial) {
    return false;
  }
  if ((problem.eager || basis_pays(points, work_of(problem))) && memory.fits(memory_for_head(state))) {
    const Basis basis =
        find_basis(points, max_head_columns(points.frame().dimension()), memory, team, control);
    if (const Index columns = best_head_columns(points, basis, state.picks, state.listed, state.values,
                                                schedule.head_worth, memory, team, control);
        columns > 0) {
      add_head_of(state, basis, columns);
    }
    if (state.head) {
      state.head->append_picks(state.picks, team, control);
      state.prefix = state.head->best_prefix(state.listed, state.values, state.progress);
    }
  }
  const CodeScreen screen(state);
  const Index groups = groups_in_block(screen.row_bytes(), screen.lanes(), n, team.size());
  ThreadBlocks<CodeBlock> blocks(team.size(), [&] { return screen.make_block(groups); });
  PairSweep<CodeScreen> sweep(points, shared);
  team.for_each(n, blocks.rows(), control, [&](int thread, Index begin, Index end) {
    sweep.run(blocks.fill(thread, begin, end), begin, screen, 0, control, thread);
  });
  return true;
}

}  // namespace

ClosestPair closest_pair(const DistanceProblem& problem, Control& control) {
  ThreadTeam team(useful_threads(work_of(problem), problem.threads));
  const Frame frame(problem.x, problem.metric, problem.scale, problem.largest, problem.level);
  WorkMemory memory(problem.memory);
  const bool codes = plan_codes(problem, frame, 0, team.size(), memory);
  const Points points(problem.x, frame, memory, team, control);
  control.throw_if_stopped();
  BestPair shared;
  if (counts_bits(problem.metric)) {
    sweep_bits(points, shared, memory, team, control);
  } else if (!codes || !sweep_codes(problem, points, shared, memory, team, control)) {
    sweep_chunks(points, shared, memory, team, control);
  }
  control.throw_if_stopped();
  return shared.get();
}

}  // namespace farpoint::cpu
