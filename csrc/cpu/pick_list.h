// Everything that points are compared with, in order: rows kept away from, anchors, picks. Packed for
// the screen in tiles as they come.
#pragma once

#include <memory>
#include <vector>

#include "cpu/points.h"

namespace farpoint::cpu {

class PickList {
 public:
  explicit PickList(const Frame& frame);

  Index size() const { return static_cast<Index>(rows_.size()); }
  Index tiles() const { return (size() + tile_picks_ - 1) / tile_picks_; }

  void append(const std::byte* row, double self_dot);

  const std::byte* row(Index pick) const { return rows_[static_cast<std::size_t>(pick)]; }
  double self_dot(Index pick) const { return self_dots_[static_cast<std::size_t>(pick)]; }

  const float* tile(Index t) const;
  // Unused places of the last tile have bias +infinity: they never survive.
  const float* bias(Index t) const { return bias_.data() + t * tile_picks_; }

 private:
  const Frame* frame_;
  int tile_picks_;
  Index tile_floats_;
  Index tiles_per_slab_;
  std::vector<const std::byte*> rows_;
  std::vector<double> self_dots_;
  std::vector<float> bias_;
  // Slabs and not one growing array: growing would copy everything and peak at three times the size.
  std::vector<std::unique_ptr<float[]>> slabs_;
  std::vector<float> packed_;
};

}  // namespace farpoint::cpu
