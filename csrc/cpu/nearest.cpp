// Nearest rows: a selection's catch-up with every row of y for a pick and no threshold.
//
// Large problems take the screens of selection: first each row looks among the rows of y in its nearest
// cells, which gives most their nearest row, then the blocked product proves that no other is nearer. Small
// ones, and data for which codes are too coarse, meet y in chunks of packed float32 rows.

#include "cpu/memory_plan.h"
#include "cpu/screen_plan.h"
#include "cpu/sweep.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// Rows [begin, begin + block rows) of x against a chunk of y that starts at row `offset`.
void meet_chunk(const Points& x, const Points& y, FloatBlock& block, Index begin, const FloatChunk& chunk,
                Index offset, std::span<double> values, std::span<Index> indices, Control& control,
                int thread) {
  const Frame& frame = x.frame();
  for (Index slot = 0; slot < block.living(); ++slot) {
    block.set_value(slot, values[at(begin + slot)]);
  }
  for (Index tile = 0; tile < chunk.tiles(); ++tile) {
    for (Index g = 0; g < block.groups(); ++g) {
      screen_pairs(chunk, block, g, tile, [&](Index slot, Index pick) {
        const Index i = block.row(slot);
        const Index j = offset + pick;
        const double value = frame.value(x.row(i), x.self_dot(i), y.row(j), y.self_dot(j));
        if (value < values[at(i)]) {
          values[at(i)] = value;
          indices[at(i)] = j;
          block.set_value(slot, value);
        }
      });
    }
    if (tile % tuning::kTilesPerCheck == 0 && stop_requested(control, thread)) {
      return;
    }
  }
}

void nearest_in_chunks(const Points& x, const Points& y, std::span<double> values, std::span<Index> indices,
                       WorkMemory& memory, ThreadTeam& team, Control& control) {
  std::ranges::fill(values, kInfinity);
  std::ranges::fill(indices, Index{-1});
  const Frame& frame = x.frame();
  const Index groups = groups_in_block(frame.dimension() * static_cast<Index>(sizeof(float)), frame.lanes(),
                                       x.size(), team.size());
  ThreadBlocks<FloatBlock> blocks(team.size(), [&] { return FloatBlock(x, groups); });
  for (Index offset = 0; offset < y.size() && !control.poll(); offset += tuning::kChunkRows) {
    const FloatChunk chunk(y, offset, std::min(offset + tuning::kChunkRows, y.size()), memory);
    team.for_each(x.size(), blocks.rows(), control, [&](int thread, Index begin, Index end) {
      meet_chunk(x, y, blocks.fill(thread, begin, end), begin, chunk, offset, values, indices, control,
                 thread);
    });
  }
}

// Packed bits: rows of y by columns, a chunk at a time.
void nearest_bits(const Points& x, const Points& y, std::span<double> values, std::span<Index> indices,
                  WorkMemory& memory, ThreadTeam& team, Control& control) {
  std::ranges::fill(values, kInfinity);
  std::ranges::fill(indices, Index{-1});
  const Frame& frame = x.frame();
  for (Index offset = 0; offset < y.size() && !control.poll(); offset += tuning::kChunkRows) {
    const BitColumns columns = columns_of(y, offset, std::min(offset + tuning::kChunkRows, y.size()), memory);
    team.for_each(x.size(), rows_of_bits(frame), control, [&](int, Index begin, Index end) {
      BitLists list(frame);
      for (Index i = begin; i < end; ++i) {
        const SetBits set = list.only(x.row(i));
        for (Index block = 0; block < columns.blocks(); ++block) {
          const BitBound bound = bit_bound(frame.metric(), static_cast<double>(set.size()), values[at(i)]);
          columns.screen(set, bound, block, 0, [&](Index j, double value) {
            if (value < values[at(i)]) {
              values[at(i)] = value;
              indices[at(i)] = offset + j;
            }
          });
        }
      }
    });
  }
}

// False when codes would let too much through; then nothing was written.
bool nearest_by_codes(const DistanceProblem& problem, const Points& x, const Points& y,
                      std::span<double> values, std::span<Index> indices, WorkMemory& memory,
                      ThreadTeam& team, Control& control) {
  const tuning::Schedule& schedule = tuning::schedule(problem.eager);
  SelectState state(x, team, control, memory, y.size(), true);
  for (Index j = 0; j < y.size(); ++j) {
    state.picks.append(y.row(j), y.self_dot(j), -1);
  }
  state.kept_away = y.size();
  state.listed.resize(at(x.size()));
  std::iota(state.listed.begin(), state.listed.end(), Index{0});

  add_codes(state);
  const Index cells = std::clamp<Index>(y.size() / tuning::kPicksPerCell, 1,
                                        std::min(tuning::kMaxCells, std::max<Index>(x.size() / 4, 1)));
  make_cells(state, cells);
  control.throw_if_stopped();
  Threshold everything = Threshold::everything();
  if (state.cells) {
    certify(state, everything, 1);
  }
  if (share_in_vain(state, kInfinity) > schedule.max_in_vain_at_trial) {
    return false;
  }
  state.cells.reset();
  if ((problem.eager || basis_pays(x, work_of(problem))) && memory.fits(memory_for_head(state))) {
    const Basis basis = find_basis(x, max_head_columns(x.frame().dimension()), memory, team, control);
    // Columns for all values; each band takes what it needs.
    if (best_head_columns(x, basis, state.picks, state.listed, state.values, schedule.head_worth, memory,
                          team, control) > 0) {
      add_head_of(state, basis, basis.rows);
    }
  }
  catch_up(state, everything, x.size());
  std::ranges::copy(state.values, values.begin());
  std::ranges::copy(state.labels, indices.begin());
  return true;
}

}  // namespace

void nearest(const DistanceProblem& problem, std::span<double> values, std::span<Index> indices,
             Control& control) {
  constexpr Index kResults = sizeof(double) + sizeof(Index);
  ThreadTeam team(useful_threads(work_of(problem), problem.threads));
  const Frame frame(problem.y, problem.metric, problem.scale, problem.largest, problem.level);
  WorkMemory memory(problem.memory);
  const bool codes = plan_codes(problem, frame, kResults, team.size(), memory);
  const Points x(problem.x, frame, memory, team, control);
  const Points y(problem.y, frame, memory, team, control);
  control.throw_if_stopped();
  if (counts_bits(problem.metric)) {
    nearest_bits(x, y, values, indices, memory, team, control);
  } else if (!codes || !nearest_by_codes(problem, x, y, values, indices, memory, team, control)) {
    nearest_in_chunks(x, y, values, indices, memory, team, control);
  }
  control.throw_if_stopped();
}

}  // namespace farpoint::cpu
