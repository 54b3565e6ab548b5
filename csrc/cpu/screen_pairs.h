// One (group x tile) step of the blocked product: screen, then hand each surviving pair to `visit`.
#pragma once

#include <bit>

#include "cpu/pick_list.h"
#include "cpu/points.h"

namespace farpoint::cpu {

// Calls visit(slot, pick) for every pair that the bound lets through, by rising pick. Slots that
// lost their point at an earlier pick of the tile are passed over. Returns the number of pairs screened.
template <class Visit>
Index screen_pairs(const Frame& frame, const GroupBlock& block, Index g, const PickList& picks, Index tile,
                   const Visit& visit) {
  std::uint32_t survivors[kMaxTilePicks];
  const int lanes = frame.lanes();
  const int tile_picks = frame.tile_picks();
  if (frame.screen().screen_tile(block.group(g), picks.tile(tile), frame.dimension(), block.bias(g),
                                 picks.bias(tile), survivors)) {
    for (int p = 0; p < tile_picks; ++p) {
      for (std::uint32_t mask = survivors[p]; mask != 0; mask &= mask - 1) {
        const Index slot = g * lanes + std::countr_zero(mask);
        if (block.row(slot) >= 0) {
          visit(slot, tile * tile_picks + p);
        }
      }
    }
  }
  return static_cast<Index>(lanes) * tile_picks;
}

}  // namespace farpoint::cpu
