// What nearest.cpp and closest_pair.cpp share: rows in consecutive blocks against chunks of float32 tiles.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/tuning.h"
#include "cpu/bit_columns.h"
#include "cpu/distances.h"
#include "cpu/memory_plan.h"
#include "cpu/screens.h"

namespace farpoint::cpu {

inline double work_of(const DistanceProblem& problem) {
  return static_cast<double>(problem.x.rows) * static_cast<double>(problem.y.rows) *
         static_cast<double>(problem.x.columns);
}

// Whether coding all rows first pays.
inline bool worth_coding(const DistanceProblem& problem, const Frame& frame) {
  const tuning::Schedule& schedule = tuning::schedule(problem.eager);
  return work_of(problem) >= schedule.min_code_work && frame.dimension() >= schedule.min_code_columns &&
         frame.code_bound(0.0).usable();
}

// Plans the call's memory; whether it works by codes, as far as that is known before.
inline bool plan_codes(const DistanceProblem& problem, const Frame& frame, Index results, int threads,
                       WorkMemory& memory) {
  if (worth_coding(problem, frame)) {
    const Index bytes = least_for_codes(problem, frame, threads, results);
    if (memory.fits(bytes)) {
      memory.plan(bytes);
      return true;
    }
  }
  memory.plan(least_for_chunks(problem, frame, threads, results));
  return false;
}

// A screen over rows [begin, end) of a matrix, packed as they are: less memory than packing all of them.
class FloatChunk {
 public:
  using Block = FloatBlock;

  FloatChunk(const Points& y, Index begin, Index end, WorkMemory& memory)
      : frame_(&y.frame()), tiles_(memory, y.frame().tile_picks(), y.frame().dimension()) {
    std::vector<float> packed;
    for (Index j = begin; j < end; ++j) {
      append_packed(tiles_, *frame_, y.row(j), y.self_dot(j), packed);
    }
  }

  int tile_picks() const { return frame_->tile_picks(); }
  int lanes() const { return frame_->lanes(); }
  Index tiles() const { return tiles_.tiles(); }
  bool screen(const Block& block, Index g, Index tile, std::uint32_t* survivors) const {
    return frame_->pair_screen().tile(block.group(g), tiles_.tile(tile), frame_->dimension(), block.bias(g),
                                      tiles_.bias(tile), survivors);
  }
  static bool confirm(const Block& /*block*/, Index /*slot*/, Index /*pick*/) { return true; }

 private:
  const Frame* frame_;
  FloatTiles tiles_;
};

// Packed bits: rows [begin, end) by columns.
inline BitColumns columns_of(const Points& y, Index begin, Index end, WorkMemory& memory) {
  BitColumns columns(memory, y.frame());
  for (Index j = begin; j < end; ++j) {
    columns.append(y.row(j));
  }
  return columns;
}

inline Index groups_in_block(Index row_bytes, int lanes, Index rows, int threads) {
  const Index share = rows / (Index{4} * threads * lanes) + 1;
  return std::clamp<Index>(std::min(tuning::kBlockBytes / (row_bytes * lanes), share), 1,
                           tuning::kMaxBlockGroups);
}

// A block per thread, filled with consecutive rows.
template <class Block>
class ThreadBlocks {
 public:
  template <class Make>
  ThreadBlocks(int threads, const Make& make) {
    for (int t = 0; t < threads; ++t) {
      blocks_.push_back(make());
    }
  }

  Block& fill(int thread, Index begin, Index end) {
    Block& block = blocks_[static_cast<std::size_t>(thread)];
    std::vector<Index> rows(static_cast<std::size_t>(end - begin));
    std::iota(rows.begin(), rows.end(), begin);
    block.clear();
    block.pack(rows);
    return block;
  }

  Index rows() const { return blocks_.front().capacity(); }

 private:
  std::vector<Block> blocks_;
};

inline bool stop_requested(Control& control, int thread) {
  return thread == 0 ? control.poll() : control.stopped();
}

}  // namespace farpoint::cpu
