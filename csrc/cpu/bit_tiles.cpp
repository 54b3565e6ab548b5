#include "cpu/bit_tiles.h"

#include <algorithm>

#include "core/tuning.h"

namespace farpoint::cpu {
namespace {

Index slab_tiles(Index words) {
  return tuning::kPickSlabBytes / (words * kBitTilePicks * static_cast<Index>(sizeof(std::uint64_t)));
}

}  // namespace

BitTiles::BitTiles(WorkMemory& memory, Index words)
    : words_(words),
      row_(static_cast<std::size_t>(words)),
      rows_(memory, "packed picks", words * kBitTilePicks, slab_tiles(words)),
      counts_(memory, "packed picks", kBitTilePicks, slab_tiles(words)) {}

void BitTiles::append(const Frame& frame, const std::byte* row, double count) {
  const Index tile = size_ / kBitTilePicks;
  const Index place = size_ % kBitTilePicks;
  if (place == 0) {
    rows_.grow_to(tile + 1);
    counts_.grow_to(tile + 1);
    std::fill_n(rows_.entry(tile), words_ * kBitTilePicks, std::uint64_t{0});
    std::fill_n(counts_.entry(tile), kBitTilePicks, 0.0);
  }
  frame.copy_words(row, row_.data());
  std::uint64_t* out = rows_.entry(tile) + place;
  for (Index w = 0; w < words_; ++w) {
    out[w * kBitTilePicks] = row_[static_cast<std::size_t>(w)];
  }
  counts_.entry(tile)[place] = count;
  ++size_;
}

}  // namespace farpoint::cpu
