#include "cpu/distances.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <mutex>
#include <numeric>
#include <vector>

#include "core/threshold.h"
#include "core/tuning.h"
#include "cpu/blocks.h"
#include "cpu/pick_list.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

double work_of(const DistanceProblem& problem) {
  return static_cast<double>(problem.x.rows) * static_cast<double>(problem.y.rows) *
         static_cast<double>(problem.x.columns);
}

Index block_groups(const Frame& frame, Index rows, int threads) {
  const Index group_bytes = frame.group_floats() * static_cast<Index>(sizeof(float));
  const Index share = rows / (Index{4} * threads * frame.lanes()) + 1;
  return std::clamp<Index>(std::min(tuning::kBlockBytes / group_bytes, share), 1, tuning::kMaxBlockGroups);
}

// Rows [begin, end) of y, packed as picks.
FloatTiles pack_rows(const Frame& frame, const Points& y, Index begin, Index end) {
  FloatTiles list(frame.screen(), frame.dimension());
  std::vector<float> packed;
  for (Index j = begin; j < end; ++j) {
    append_packed(list, frame, y.row(j), y.self_dot(j), packed);
  }
  return list;
}

// Calls visit(slot, place in the chunk) for every pair of a group and a tile that the screen lets through.
template <class Visit>
void screen_pairs(const Frame& frame, const FloatBlock& block, Index g, const FloatTiles& chunk, Index tile,
                  const Visit& visit) {
  std::uint32_t survivors[kMaxTilePicks];
  if (frame.screen().screen_tile(block.group(g), chunk.tile(tile), frame.dimension(), block.bias(g),
                                 chunk.bias(tile), survivors)) {
    for (int p = 0; p < frame.tile_picks(); ++p) {
      for (std::uint32_t mask = survivors[p]; mask != 0; mask &= mask - 1) {
        const Index slot = g * block.lanes() + std::countr_zero(mask);
        if (block.row(slot) >= 0) {
          visit(slot, tile * frame.tile_picks() + p);
        }
      }
    }
  }
}

// A block of consecutive rows per thread.
struct Blocks {
  Blocks(const Points& points, int threads) {
    const Index groups = block_groups(points.frame(), points.size(), threads);
    for (int t = 0; t < threads; ++t) {
      blocks.emplace_back(points, groups);
    }
  }

  FloatBlock& pack(int thread, Index begin, Index end) {
    FloatBlock& block = blocks[at(thread)];
    std::vector<Index> rows(at(end - begin));
    std::iota(rows.begin(), rows.end(), begin);
    block.clear();
    block.pack(rows);
    return block;
  }

  Index rows() const { return blocks.front().capacity(); }

  std::vector<FloatBlock> blocks;
};

bool stop_requested(Control& control, int thread) {
  return thread == 0 ? control.poll() : control.stopped();
}

class NearestSweep {
 public:
  NearestSweep(const Points& x, const Points& y, std::span<double> values, std::span<Index> indices)
      : x_(x), y_(y), frame_(x.frame()), values_(values), indices_(indices) {}

  // Rows [begin, begin + block rows) of x against a chunk of y that starts at row `offset`.
  void run(FloatBlock& block, Index begin, const FloatTiles& chunk, Index offset, Control& control,
           int thread) {
    const Index rows = block.living();
    for (Index slot = 0; slot < rows; ++slot) {
      block.set_value(slot, values_[at(begin + slot)]);
    }
    for (Index tile = 0; tile < chunk.tiles(); ++tile) {
      for (Index g = 0; g < block.groups(); ++g) {
        screen_pairs(frame_, block, g, chunk, tile, [&](Index slot, Index pick) {
          const Index i = block.row(slot);
          const Index j = offset + pick;
          const double value = frame_.value(x_.row(i), x_.self_dot(i), y_.row(j), y_.self_dot(j));
          if (value < values_[at(i)]) {
            values_[at(i)] = value;
            indices_[at(i)] = j;
            block.set_value(slot, value);
          }
        });
      }
      if (tile % tuning::kTilesPerCheck == 0 && stop_requested(control, thread)) {
        return;
      }
    }
  }

 private:
  const Points& x_;
  const Points& y_;
  const Frame& frame_;
  std::span<double> values_;
  std::span<Index> indices_;
};

// The best pair so far, shared by all threads.
class BestPair {
 public:
  ClosestPair get() const {
    const std::scoped_lock lock(mutex_);
    return best_;
  }
  // Returns the best after offering.
  ClosestPair offer(const ClosestPair& pair) {
    const std::scoped_lock lock(mutex_);
    const bool better =
        pair.value < best_.value ||
        (pair.value == best_.value && (pair.i < best_.i || (pair.i == best_.i && pair.j < best_.j)));
    if (better) {
      best_ = pair;
    }
    return best_;
  }

 private:
  mutable std::mutex mutex_;
  ClosestPair best_;
};

class PairSweep {
 public:
  PairSweep(const Points& points, BestPair& shared)
      : points_(points), frame_(points.frame()), shared_(shared) {}

  // Rows [begin, ...) of the block against those rows of the chunk (from row `offset`) above them.
  void run(FloatBlock& block, Index begin, const FloatTiles& chunk, Index offset, Control& control,
           int thread) {
    ClosestPair best = shared_.get();
    set_bounds(block, best);
    const Index first_tile = std::max<Index>(0, begin + 1 - offset) / frame_.tile_picks();
    for (Index tile = first_tile; tile < chunk.tiles(); ++tile) {
      bool improved = false;
      for (Index g = 0; g < block.groups(); ++g) {
        screen_pairs(frame_, block, g, chunk, tile, [&](Index slot, Index pick) {
          const Index i = block.row(slot);
          const Index j = offset + pick;
          if (j <= i) {
            return;
          }
          const double value =
              frame_.value(points_.row(i), points_.self_dot(i), points_.row(j), points_.self_dot(j));
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
        if (const ClosestPair now = shared_.get(); now.value < best.value || now.i < best.i) {
          best = now;
          set_bounds(block, best);
        }
      }
    }
  }

 private:
  // A pair (i, j) with the best value still counts where i is below the best pair's: there the bound
  // must let equal values through, so it is set for any value above. In other rows an equal value
  // comes later in the order. (In the best's own row all later j do: tiles come by rising j.)
  void set_bounds(FloatBlock& block, const ClosestPair& best) const {
    for (Index slot = 0; slot < block.groups() * block.lanes(); ++slot) {
      const Index row = block.row(slot);
      if (row >= 0) {
        const bool ties_count = row < best.i;
        block.set_value(slot,
                        ties_count ? std::nextafter(best.value * (1 + 0x1p-20), kInfinity) : best.value);
      }
    }
  }

  const Points& points_;
  const Frame& frame_;
  BestPair& shared_;
};

}  // namespace

void nearest(const DistanceProblem& problem, std::span<double> values, std::span<Index> indices,
             Control& control) {
  ThreadTeam team(useful_threads(work_of(problem), problem.threads));
  const Frame frame(problem.y, problem.metric, problem.scale, problem.largest, problem.level);
  const Points x(problem.x, frame, team, control);
  const Points y(problem.y, frame, team, control);
  std::ranges::fill(values, kInfinity);
  std::ranges::fill(indices, Index{-1});
  Blocks blocks(x, team.size());
  NearestSweep sweep(x, y, values, indices);
  for (Index offset = 0; offset < y.size() && !control.poll(); offset += tuning::kChunkRows) {
    const FloatTiles chunk = pack_rows(frame, y, offset, std::min(offset + tuning::kChunkRows, y.size()));
    team.for_each(x.size(), blocks.rows(), control, [&](int thread, Index begin, Index end) {
      sweep.run(blocks.pack(thread, begin, end), begin, chunk, offset, control, thread);
    });
    control.set_progress(std::min(offset + tuning::kChunkRows, y.size()), y.size(), kInfinity);
  }
  control.throw_if_stopped();
}

ClosestPair closest_pair(const DistanceProblem& problem, Control& control) {
  ThreadTeam team(useful_threads(work_of(problem), problem.threads));
  const Frame frame(problem.x, problem.metric, problem.scale, problem.largest, problem.level);
  const Points points(problem.x, frame, team, control);
  Blocks blocks(points, team.size());
  BestPair shared;
  PairSweep sweep(points, shared);
  for (Index offset = 0; offset < points.size() && !control.poll(); offset += tuning::kChunkRows) {
    const Index end_row = std::min(offset + tuning::kChunkRows, points.size());
    const FloatTiles chunk = pack_rows(frame, points, offset, end_row);
    team.for_each(end_row, blocks.rows(), control, [&](int thread, Index begin, Index end) {
      sweep.run(blocks.pack(thread, begin, end), begin, chunk, offset, control, thread);
    });
    control.set_progress(end_row, points.size(), kInfinity);
  }
  control.throw_if_stopped();
  return shared.get();
}

void pairwise(const DistanceProblem& problem, std::span<double> values, Control& control) {
  ThreadTeam team(useful_threads(work_of(problem), problem.threads));
  const Frame frame(problem.y, problem.metric, problem.scale, problem.largest, problem.level);
  const Points x(problem.x, frame, team, control);
  const Points y(problem.y, frame, team, control);
  const Index columns = y.size();
  // A square of rows whose elements stay in the first-level cache.
  constexpr Index kSquare = 8;
  team.for_each(x.size(), kSquare, control, [&](int thread, Index begin, Index end) {
    for (Index j0 = 0; j0 < columns; j0 += kSquare) {
      if (j0 % 1024 == 0 && stop_requested(control, thread)) {
        return;
      }
      const Index j1 = std::min(j0 + kSquare, columns);
      for (Index i = begin; i < end; ++i) {
        for (Index j = j0; j < j1; ++j) {
          values[at(i * columns + j)] = frame.value(x.row(i), x.self_dot(i), y.row(j), y.self_dot(j));
        }
      }
    }
  });
  control.throw_if_stopped();
}

}  // namespace farpoint::cpu
