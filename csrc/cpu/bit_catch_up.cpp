// Catch-up of packed bits: each listed row against the blocks of picks that it has not seen.
//
// A few rows list their bits and meet the blocks one after the other, so that a block is read from the
// caches. What a block lets through has its value at once; a row that falls below the threshold leaves.

#include "cpu/bit_columns.h"
#include "cpu/select.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

class BitCatchUp {
 public:
  BitCatchUp(SelectState& state, const Threshold& threshold)
      : state_(&state), threshold_(threshold), lists_(state.points.frame()) {}

  void run(std::span<const Index> rows, ScreenCounts& counts, bool main_thread) {
    const BitColumns& columns = *state_->bit_columns;
    lists_.clear();
    Index block = columns.blocks();
    for (const Index row : rows) {
      lists_.append(state_->points.row(row));
      block = std::min(block, state_->progress[at(row)] / kBlockPicks);
    }
    for (; block < columns.blocks(); ++block) {
      for (std::size_t r = 0; r < rows.size(); ++r) {
        const Index row = rows[r];
        if (threshold_.admits(state_->key(row), row) &&
            state_->progress[at(row)] < (block + 1) * kBlockPicks) {
          meet(row, lists_.row(static_cast<Index>(r)), block, counts);
        }
      }
      if (main_thread ? state_->control.poll() : state_->control.stopped()) {
        return;
      }
    }
  }

 private:
  void meet(Index row, SetBits set, Index block, ScreenCounts& counts) {
    const BitColumns& columns = *state_->bit_columns;
    const double value = state_->values[at(row)];
    Index& progress = state_->progress[at(row)];
    const Index end = std::min((block + 1) * kBlockPicks, columns.size());
    const BitBound bound = bit_bound(state_->points.frame().metric(), static_cast<double>(set.size()),
                                     state_->screened_value(value));
    counts.screened += end - progress;
    columns.screen(set, bound, block, progress, [&](Index pick, double found) {
      ++counts.refined;
      counts.improved += state_->lower(row, pick, found) ? 1 : 0;
    });
    progress = end;
  }

  SelectState* state_;
  Threshold threshold_;
  BitLists lists_;
};

}  // namespace

void catch_up_bits(SelectState& state, const Threshold& threshold, std::span<const Index> rows) {
  if (!state.bit_columns) {
    state.bit_columns = std::make_unique<BitColumns>(state.memory, state.points.frame());
  }
  for (Index p = state.bit_columns->size(); p < state.picks.size(); ++p) {
    state.bit_columns->append(state.picks.row(p));
  }
  struct Worker {
    BitCatchUp stage;
    ScreenCounts counts;
  };
  std::vector<Worker> workers(at(state.team.size()), {BitCatchUp(state, threshold), {}});
  state.team.for_each(static_cast<Index>(rows.size()), rows_of_bits(state.points.frame()), state.control,
                      [&](int thread, Index begin, Index end) {
                        Worker& worker = workers[at(thread)];
                        worker.stage.run(rows.subspan(at(begin), at(end - begin)), worker.counts,
                                         thread == 0);
                      });
  state.control.throw_if_stopped();
  for (const Worker& worker : workers) {
    state.screened += worker.counts;
  }
}

}  // namespace farpoint::cpu
