// What the screens (cuda/screens.h) work on: plain structs, for the host and for kernels.
#pragma once

#include "core/bounds.h"
#include "cuda/rows.h"

namespace farpoint::cuda {

inline constexpr int kScreenThreads = 256;
inline constexpr int kTileRows = 128;
inline constexpr int kMostTilePicks = 256;  // and those of a tile of codes

// Where a screen finds its operands in device memory. Picks lie one after the other; there is memory,
// whatever it holds, up to a multiple of kMostTilePicks. Rows are found by their number in the matrix (codes)
// or by their place in the list (float32).
struct CodeOperands {
  const std::int8_t* rows = nullptr;
  const RowNumbers* row_numbers = nullptr;
  const std::int8_t* picks = nullptr;
  const RowNumbers* pick_numbers = nullptr;
  // By tile of picks: at least the norm + residual of each, as the bits of a float32 (not negative: ordered
  // alike).
  const std::uint32_t* pick_reaches = nullptr;
  Index padded = 0;
  float scale = 1.0F;
  double inverse_square = 1.0;  // of the scale
  ScreenBound bound;
  int stages = 2;         // of the pipeline in shared memory
  bool resident = false;  // the block's rows stay in shared memory
};
struct FloatOperands {
  const float* rows = nullptr;
  const RowNumbers* row_numbers = nullptr;
  const float* picks = nullptr;
  const RowNumbers* pick_numbers = nullptr;
  Index padded = 0;
  ScreenBound bound;
};

// One of the tile's pairs: row of the block, pick of the tile.
struct TilePair {
  int row;
  int pick;
};

}  // namespace farpoint::cuda
