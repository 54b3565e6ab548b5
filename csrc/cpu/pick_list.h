// Everything that points are compared with, in order: rows kept away from, anchors, picks.
#pragma once

#include <vector>

#include "cpu/points.h"
#include "cpu/work_memory.h"

namespace farpoint::cpu {

class PickList {
 public:
  // Bytes of an entry.
  static Index entry_bytes() { return static_cast<Index>(sizeof(Entry)); }

  void reserve(Index picks) { entries_.reserve(static_cast<std::size_t>(picks)); }
  Index size() const { return static_cast<Index>(entries_.size()); }
  // `source`: the row's number in the matrix of points, or -1 for an anchor.
  void append(const std::byte* row, double self_dot, Index source) {
    entries_.push_back({row, self_dot, source});
  }

  const std::byte* row(Index pick) const { return entry(pick).row; }
  double self_dot(Index pick) const { return entry(pick).self_dot; }
  Index source(Index pick) const { return entry(pick).source; }

 private:
  struct Entry {
    const std::byte* row;
    double self_dot;
    Index source;
  };
  const Entry& entry(Index pick) const { return entries_[static_cast<std::size_t>(pick)]; }

  std::vector<Entry> entries_;
};

// Rows of float32, packed in tiles for ScreenKernels::ScreenTile and product_tile.
class FloatTiles {
 public:
  FloatTiles(WorkMemory& memory, const ScreenKernels& kernels, Index columns);

  Index size() const { return size_; }
  Index tiles() const { return (size_ + tile_picks_ - 1) / tile_picks_; }
  void append(const float* row, float bias);

  const float* tile(Index t) const { return rows_.entry(t); }
  // Unused places of the last tile have bias +infinity: they never survive.
  const float* bias(Index t) const { return bias_.entry(t); }

 private:
  int tile_picks_;
  Index columns_;
  Index tile_floats_;
  Index size_ = 0;
  Slabs<float> rows_;
  Slabs<float> bias_;
};

// Packs a row of the frame into the tiles; `packed` is working memory.
void append_packed(FloatTiles& tiles, const Frame& frame, const std::byte* row, double self_dot,
                   std::vector<float>& packed);

}  // namespace farpoint::cpu
