// Packed bits of picks in tiles, for BitKernels::screen_tile.
#pragma once

#include "cpu/bit_kernels.h"
#include "cpu/points.h"
#include "cpu/work_memory.h"

namespace farpoint::cpu {

class BitTiles {
 public:
  BitTiles(WorkMemory& memory, Index words);

  Index size() const { return size_; }
  Index tiles() const { return (size_ + kBitTilePicks - 1) / kBitTilePicks; }
  Index words() const { return words_; }
  // `count`: how many bits are set in the row.
  void append(const Frame& frame, const std::byte* row, double count);

  // Unused places of the last tile are rows without bits.
  const std::uint64_t* tile(Index t) const { return rows_.entry(t); }
  const double* counts(Index t) const { return counts_.entry(t); }

 private:
  Index words_;
  Index size_ = 0;
  std::vector<std::uint64_t> row_;
  Slabs<std::uint64_t> rows_;
  Slabs<double> counts_;
};

}  // namespace farpoint::cpu
