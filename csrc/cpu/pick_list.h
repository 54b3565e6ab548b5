// Everything that points are compared with, in order: rows kept away from, anchors, picks.
#pragma once

#include <cstdint>
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

// Rows of `columns` elements, packed in tiles: element j of row p of a tile is at [j * tile_picks + p].
template <class Element>
class PackedTiles {
 public:
  PackedTiles(WorkMemory& memory, int tile_picks, Index columns);

  Index size() const { return size_; }
  Index tiles() const { return (size_ + tile_picks_ - 1) / tile_picks_; }
  void append(const Element* row, float bias);

  const Element* tile(Index t) const { return rows_.entry(t); }
  // Unused places of the last tile have bias +infinity: they never survive.
  const float* bias(Index t) const { return bias_.entry(t); }

 private:
  int tile_picks_;
  Index columns_;
  Index tile_elements_;
  Index size_ = 0;
  Slabs<Element> rows_;
  Slabs<float> bias_;
};

using FloatTiles = PackedTiles<float>;         // for ScreenKernels::ScreenTile and product_tile
using ByteTiles = PackedTiles<std::uint64_t>;  // for ByteKernels::ScreenTile

// Packs a row of the frame into the tiles; `packed` is working memory.
void append_packed(FloatTiles& tiles, const Frame& frame, const std::byte* row, double self_dot,
                   std::vector<float>& packed);

}  // namespace farpoint::cpu
