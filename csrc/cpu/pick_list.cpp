#include "cpu/pick_list.h"

#include <algorithm>
#include <limits>

#include "core/tuning.h"

namespace farpoint::cpu {

template <class Element>
PackedTiles<Element>::PackedTiles(WorkMemory& memory, int tile_picks, Index columns)
    : tile_picks_(tile_picks),
      columns_(columns),
      tile_elements_(columns * tile_picks),
      rows_(memory, "packed picks", tile_elements_,
            tuning::kPickSlabBytes / (tile_elements_ * static_cast<Index>(sizeof(Element)))),
      bias_(memory, "packed picks", tile_picks_,
            tuning::kPickSlabBytes / (tile_elements_ * static_cast<Index>(sizeof(Element)))) {}

template <class Element>
void PackedTiles<Element>::append(const Element* row, float bias) {
  const Index tile = size_ / tile_picks_;
  const Index place = size_ % tile_picks_;
  if (place == 0) {
    rows_.grow_to(tile + 1);
    bias_.grow_to(tile + 1);
    // The unused places of a tile are zero rows.
    std::fill_n(rows_.entry(tile), tile_elements_, Element{});
    std::fill_n(bias_.entry(tile), tile_picks_, std::numeric_limits<float>::infinity());
  }
  Element* out = rows_.entry(tile) + place;
  for (Index j = 0; j < columns_; ++j) {
    out[j * tile_picks_] = row[j];
  }
  bias_.entry(tile)[place] = bias;
  ++size_;
}

template class PackedTiles<float>;
template class PackedTiles<std::uint64_t>;

void append_packed(FloatTiles& tiles, const Frame& frame, const std::byte* row, double self_dot,
                   std::vector<float>& packed) {
  packed.resize(static_cast<std::size_t>(frame.dimension()));
  const double squared_norm = frame.pack_row(row, self_dot, packed.data());
  tiles.append(packed.data(), frame.pick_bias(squared_norm));
}

}  // namespace farpoint::cpu
