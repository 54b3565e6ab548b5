// The inner loops, as tables of functions, one table a SIMD level. No intrinsics here: what a kernel
// computes, from which layout. The code is in pack.inl, screen.inl, code.inl, bytes.inl and
// refine.inl; thin files (screen_avx2.cpp, ...) compile them once a level.
//
// Layout of the float32 screen. Points are packed in groups of `lanes` rows, interleaved: element j of lane l
// is at [j * lanes + l], float32, padded with zero rows. Picks are packed in tiles of `tile_picks` rows the
// same way. One screening step is a (tile x group) block of sums (inner products, or what the metric has in
// their place) held in registers; a group streams from the second-level cache, a tile stays in the first.
#pragma once

#include <cstddef>
#include <cstdint>

namespace farpoint::cpu {

inline constexpr int kMaxLanes = 32;
inline constexpr int kMaxTilePicks = 16;
inline constexpr int kCodeTilePicks = 8;
// Columns of a coded row come in multiples of this, the widest step of a kernel.
inline constexpr int kCodeColumns = 32;

// One kernel an element type, indexed by ElementType.
inline constexpr int kKernelElementTypes = 6;

struct ScreenKernels {
  int lanes;       // rows in a group
  int tile_picks;  // picks in a tile

  // out[j] = float32((row[j] * before - centre[j]) * after); returns sum_j out^2 in float64.
  using PackRow = double (*)(const std::byte* row, std::int64_t d, double before, const double* centre,
                             double after, float* out);
  PackRow pack_row[kKernelElementTypes];

  // out[j * lanes + l] = rows[l][j]: packed rows become a group.
  using Interleave = void (*)(const float* const* rows, std::int64_t d, float* out);
  Interleave interleave;

  // survivors[p], bit l: nearness(pick p, point l) > point_bias[l] + pick_bias[p]. Returns whether any
  // bit is set.
  using ScreenTile = bool (*)(const float* group, const float* tile, std::int64_t d, const float* point_bias,
                              const float* pick_bias, std::uint32_t* survivors);

  // The same for one contiguous pick: bit l of the result.
  using ScreenRow = std::uint32_t (*)(const float* group, const float* pick, std::int64_t d,
                                      const float* point_bias, float pick_bias);

  struct Screen {
    ScreenTile tile;
    ScreenRow row;
  };
  Screen product;    // nearness: sum_j x_j y_j
  Screen manhattan;  // -sum_j |x_j - y_j|
  Screen chebyshev;  // -max_j |x_j - y_j|

  // out[p * lanes + l] = dot(row p of the tile, point l).
  using ProductTile = void (*)(const float* group, const float* tile, std::int64_t d, float* out);
  ProductTile product_tile;
};

// What core/bounds.h needs to know of a coded row y = scale * q + rest.
struct RowCode {
  float scale = 1;
  float norm = 0;           // at least |scale q|
  float residual = 0;       // at least |rest|
  float tail = 0;           // at least the part of the row outside the coded coordinates
  float squared_norm = 0;   // at most |packed row|^2
  std::int32_t offset = 0;  // what the kernels' unsigned points add to an inner product with this row
};

// The same of a pick, as the test takes it.
struct PickCode {
  float scale = 1;
  float residual = 0;
  float reach = 0;  // norm + residual
  float tail = 0;
  float bias = 0;
  std::int32_t offset = 0;
};

// The same of a group of points, one array of `lanes` numbers after the other.
inline constexpr int kLaneBias = 0;
inline constexpr int kLaneScale = 1;
inline constexpr int kLaneNorm = 2;
inline constexpr int kLaneResidual = 3;
inline constexpr int kLaneTail = 4;
inline constexpr int kLaneNumbers = 5;

struct CodeKernels {
  int lanes;                  // rows in a group
  std::int32_t point_offset;  // what is added to the codes of points: RowCode::offset is it times their sum

  // Codes a packed row of d floats into `padded` bytes; all numbers but tail and squared_norm. Unless null,
  // residuals[s] is at least |rest| of the first s + 1 times kCodeColumns columns.
  using Encode = void (*)(const float* row, std::int64_t d, std::int64_t padded, std::int8_t* codes,
                          RowCode* numbers, float* residuals);
  Encode encode;

  using Interleave = void (*)(const std::int8_t* const* rows, std::int64_t padded, std::uint8_t* group);
  Interleave interleave;

  // survivors[p], bit l: the pair cannot be skipped. Returns whether any bit is set.
  using ScreenTile = bool (*)(const std::uint8_t* group, const float* lanes, const std::int8_t* tile,
                              const PickCode* picks, std::int64_t padded, std::uint32_t* survivors);
  ScreenTile screen_tile;

  // The same for one contiguous pick: bit l of the result.
  using ScreenRow = std::uint32_t (*)(const std::uint8_t* group, const float* lanes, const std::int8_t* pick,
                                      const PickCode& numbers, std::int64_t padded);
  ScreenRow screen_row;

  // out[i] = inner product of the codes of `row` and of those at list + i * padded.
  using Dots = void (*)(const std::int8_t* row, const std::int8_t* list, std::int64_t count,
                        std::int64_t padded, std::int32_t* out);
  Dots dots;

  // out[p * lanes + l] = inner product of the codes of pick p of the tile and of point l.
  using ProductTile = void (*)(const std::uint8_t* group, const std::int8_t* tile, const PickCode* picks,
                               std::int64_t padded, std::int32_t* out);
  ProductTile product_tile;
};

// Rows as bytes of one scale, eight columns a word of 64 bits; the last word is padded with equal codes.
struct ByteKernels {
  int lanes;       // rows in a group
  int tile_picks;  // picks in a tile

  // Codes a packed row of d floats; returns the manhattan or chebyshev norm of what the codes leave over, but
  // for a relative error of (d + 2) 2^-53.
  using Encode = double (*)(const float* row, std::int64_t d, float step, std::uint8_t* codes);

  // survivors[p], bit l: -distance(codes of pick p, of point l) > point_bias[l] + pick_bias[p]. Returns
  // whether any bit is set. Word c of pick p is at tile[c * tile_picks + p], that of point l at
  // group[c * lanes + byte_place(l, lanes)].
  using ScreenTile = bool (*)(const std::uint64_t* group, const std::uint64_t* tile, std::int64_t words,
                              const float* point_bias, const float* pick_bias, std::uint32_t* survivors);

  // The same for one contiguous pick: bit l of the result.
  using ScreenRow = std::uint32_t (*)(const std::uint64_t* group, const std::uint64_t* pick,
                                      std::int64_t words, const float* point_bias, float pick_bias);

  struct Screen {
    Encode encode;
    ScreenTile tile;
    ScreenRow row;
  };
  Screen manhattan;
  Screen chebyshev;
};

constexpr std::int64_t byte_place(std::int64_t lane, int lanes) {
  return lane % 2 * (lanes / 2) + lane / 2;
}

struct RefineKernels {
  // The contract's totals (core/contract.h), before scaling and rounding.
  using Pair = double (*)(const std::byte* x, const std::byte* y, std::int64_t d);
  Pair squared_difference[kKernelElementTypes];
  Pair dot[kKernelElementTypes];
  Pair absolute_difference[kKernelElementTypes];
  Pair largest_difference[kKernelElementTypes];

  // Largest |element| of a row; NaN when the row holds NaN or an infinity.
  using LargestMagnitude = double (*)(const std::byte* x, std::int64_t d);
  LargestMagnitude largest_magnitude[kKernelElementTypes];
};

namespace baseline {
const ScreenKernels& screen_kernels();
const ByteKernels& byte_kernels();
const CodeKernels& code_kernels();
const RefineKernels& refine_kernels();
}  // namespace baseline

namespace avx2 {
const ScreenKernels& screen_kernels();
const ByteKernels& byte_kernels();
const CodeKernels& code_kernels();
const RefineKernels& refine_kernels();
}  // namespace avx2

// Levels that differ from the one before in the byte products alone.
namespace avxvnni {
const CodeKernels& code_kernels();
}  // namespace avxvnni

namespace avx512 {
const ScreenKernels& screen_kernels();
const ByteKernels& byte_kernels();
const CodeKernels& code_kernels();
const RefineKernels& refine_kernels();
}  // namespace avx512

namespace neondot {
const CodeKernels& code_kernels();
}  // namespace neondot

namespace avx512vnni {
const CodeKernels& code_kernels();
}  // namespace avx512vnni

}  // namespace farpoint::cpu
