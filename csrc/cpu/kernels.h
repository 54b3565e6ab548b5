// The inner loops, as tables of functions, one table a SIMD level. No intrinsics here: what a kernel
// computes, from which layout. The code is in pack.inl, screen.inl and refine.inl; thin files
// (screen_avx2.cpp, ...) compile them once a level.
//
// Layout. Points are packed in groups of `lanes` rows, interleaved: element j of lane l is at
// [j * lanes + l], float32, padded with zero rows. Picks are packed in tiles of `tile_picks` rows
// the same way. One screening step is a (tile x group) block of inner products held in registers; a
// group streams from the second-level cache, a tile stays in the first.
#pragma once

#include <cstddef>
#include <cstdint>

namespace farpoint::cpu {

inline constexpr int kMaxLanes = 32;
inline constexpr int kMaxTilePicks = 16;

// One kernel an element type, indexed by ElementType.
inline constexpr int kKernelElementTypes = 6;

struct ScreenKernels {
  int lanes;       // rows in a group
  int tile_picks;  // picks in a tile

  // rows[lane] -> out[j * lanes + lane] = float32((row[j] * before - centre[j]) * after), and
  // squared_norms[lane] = sum_j out^2 in float64. A null row packs as zeros. `scratch` holds
  // lanes * d floats.
  using PackGroup = void (*)(const std::byte* const* rows, std::int64_t d, const double* before,
                             const double* centre, double after, float* out, float* scratch,
                             double* squared_norms);
  PackGroup pack_group[kKernelElementTypes];

  // One row, contiguous: the pick of the pick loop.
  using PackRow = double (*)(const std::byte* row, std::int64_t d, double before, const double* centre,
                             double after, float* out);
  PackRow pack_row[kKernelElementTypes];

  // survivors[p], bit l: dot(pick p, point l) > point_bias[l] + pick_bias[p]. Returns whether any
  // bit is set.
  using ScreenTile = bool (*)(const float* group, const float* tile, std::int64_t d, const float* point_bias,
                              const float* pick_bias, std::uint32_t* survivors);
  ScreenTile screen_tile;

  // The same for one contiguous pick: bit l of the result.
  using ScreenRow = std::uint32_t (*)(const float* group, const float* pick, std::int64_t d,
                                      const float* point_bias, float pick_bias);
  ScreenRow screen_row;
};

struct RefineKernels {
  // The contract's totals (core/contract.h), before scaling and rounding.
  using Pair = double (*)(const std::byte* x, const std::byte* y, std::int64_t d);
  Pair squared_difference[kKernelElementTypes];
  Pair dot[kKernelElementTypes];

  // Largest |element| of a row; NaN when the row holds NaN or an infinity.
  using LargestMagnitude = double (*)(const std::byte* x, std::int64_t d);
  LargestMagnitude largest_magnitude[kKernelElementTypes];
};

namespace baseline {
const ScreenKernels& screen_kernels();
const RefineKernels& refine_kernels();
}  // namespace baseline

namespace avx2 {
const ScreenKernels& screen_kernels();
const RefineKernels& refine_kernels();
}  // namespace avx2

namespace avx512 {
const ScreenKernels& screen_kernels();
const RefineKernels& refine_kernels();
}  // namespace avx512

}  // namespace farpoint::cpu
