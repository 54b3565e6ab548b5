#include "cpu/pick_list.h"

#include <algorithm>
#include <limits>

#include "core/tuning.h"

namespace farpoint::cpu {

FloatTiles::FloatTiles(const ScreenKernels& kernels, Index columns)
    : tile_picks_(kernels.tile_picks),
      columns_(columns),
      tile_floats_(columns * kernels.tile_picks),
      tiles_per_slab_(
          std::max<Index>(1, tuning::kPickSlabBytes / (tile_floats_ * static_cast<Index>(sizeof(float))))) {}

void FloatTiles::append(const float* row, float bias) {
  const Index tile = size_ / tile_picks_;
  const Index place = size_ % tile_picks_;
  if (place == 0) {
    if (tile % tiles_per_slab_ == 0) {
      slabs_.push_back(
          std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(tiles_per_slab_ * tile_floats_)));
    }
    // The unused places of a tile are zero rows.
    std::fill_n(slabs_.back().get() + tile % tiles_per_slab_ * tile_floats_, tile_floats_, 0.0F);
    bias_.resize(bias_.size() + static_cast<std::size_t>(tile_picks_),
                 std::numeric_limits<float>::infinity());
  }
  float* out = slabs_.back().get() + tile % tiles_per_slab_ * tile_floats_ + place;
  for (Index j = 0; j < columns_; ++j) {
    out[j * tile_picks_] = row[j];
  }
  bias_[static_cast<std::size_t>(size_)] = bias;
  ++size_;
}

void append_packed(FloatTiles& tiles, const Frame& frame, const std::byte* row, double self_dot,
                   std::vector<float>& packed) {
  packed.resize(static_cast<std::size_t>(frame.dimension()));
  const double squared_norm = frame.pack_row(row, self_dot, packed.data());
  tiles.append(packed.data(), frame.bound().pick_bias(squared_norm));
}

}  // namespace farpoint::cpu
