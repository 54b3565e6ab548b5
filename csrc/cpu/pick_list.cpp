#include "cpu/pick_list.h"

#include <algorithm>
#include <limits>

#include "core/tuning.h"

namespace farpoint::cpu {

FloatTiles::FloatTiles(WorkMemory& memory, const ScreenKernels& kernels, Index columns)
    : tile_picks_(kernels.tile_picks),
      columns_(columns),
      tile_floats_(columns * kernels.tile_picks),
      rows_(memory, "packed picks", tile_floats_,
            tuning::kPickSlabBytes / (tile_floats_ * static_cast<Index>(sizeof(float)))),
      bias_(memory, "packed picks", tile_picks_,
            tuning::kPickSlabBytes / (tile_floats_ * static_cast<Index>(sizeof(float)))) {}

void FloatTiles::append(const float* row, float bias) {
  const Index tile = size_ / tile_picks_;
  const Index place = size_ % tile_picks_;
  if (place == 0) {
    rows_.grow_to(tile + 1);
    bias_.grow_to(tile + 1);
    // The unused places of a tile are zero rows.
    std::fill_n(rows_.entry(tile), tile_floats_, 0.0F);
    std::fill_n(bias_.entry(tile), tile_picks_, std::numeric_limits<float>::infinity());
  }
  float* out = rows_.entry(tile) + place;
  for (Index j = 0; j < columns_; ++j) {
    out[j * tile_picks_] = row[j];
  }
  bias_.entry(tile)[place] = bias;
  ++size_;
}

void append_packed(FloatTiles& tiles, const Frame& frame, const std::byte* row, double self_dot,
                   std::vector<float>& packed) {
  packed.resize(static_cast<std::size_t>(frame.dimension()));
  const double squared_norm = frame.pack_row(row, self_dot, packed.data());
  tiles.append(packed.data(), frame.pick_bias(squared_norm));
}

}  // namespace farpoint::cpu
