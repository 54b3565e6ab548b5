#include "cpu/pick_list.h"

#include <algorithm>
#include <limits>

#include "core/tuning.h"

namespace farpoint::cpu {

PickList::PickList(const Frame& frame)
    : frame_(&frame),
      tile_picks_(frame.tile_picks()),
      tile_floats_(frame.dimension() * frame.tile_picks()),
      tiles_per_slab_(
          std::max<Index>(1, tuning::kPickSlabBytes / (tile_floats_ * static_cast<Index>(sizeof(float))))),
      packed_(static_cast<std::size_t>(frame.dimension())) {}

void PickList::append(const std::byte* row, double self_dot) {
  const Index place = size();
  const Index tile = place / tile_picks_;
  if (place % tile_picks_ == 0) {
    if (tile % tiles_per_slab_ == 0) {
      // Value-initialised: the unused places of a tile are zero rows.
      slabs_.push_back(std::make_unique<float[]>(static_cast<std::size_t>(tiles_per_slab_ * tile_floats_)));
    }
    bias_.resize(bias_.size() + static_cast<std::size_t>(tile_picks_),
                 std::numeric_limits<float>::infinity());
  }
  const double squared_norm = frame_->pack_row(row, self_dot, packed_.data());
  float* out = slabs_.back().get() + tile % tiles_per_slab_ * tile_floats_ + place % tile_picks_;
  for (Index j = 0; j < frame_->dimension(); ++j) {
    out[j * tile_picks_] = packed_[static_cast<std::size_t>(j)];
  }
  bias_[static_cast<std::size_t>(place)] = frame_->bound().pick_bias(squared_norm);
  rows_.push_back(row);
  self_dots_.push_back(self_dot);
}

const float* PickList::tile(Index t) const {
  return slabs_[static_cast<std::size_t>(t / tiles_per_slab_)].get() + t % tiles_per_slab_ * tile_floats_;
}

}  // namespace farpoint::cpu
