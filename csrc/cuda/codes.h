// Rows packed for the screens: as int8 codes with the numbers that certify them, or as float32.
//
//   code      q_j = round(y_j / s) in [-127, 127] of a packed row y; all rows share the scale s
//   numbers   |s q| and |y - s q|, rounded up, |y|^2, rounded down (core/bounds.h, step 6)
//
// Why one scale, where csrc/cpu/codes.h has one a row: the test of a pair is then a comparison of whole
// numbers (cuda/catch_up.cu), and embeddings have lengths alike. Elements that the scale does not reach are
// cut off; their row's residual says so, and its pairs are refined more often.
#pragma once

#include "cuda/operands.h"
#include "cuda/points.h"
#include "cuda/state.h"

namespace farpoint::cuda {

// Columns as coded, and as packed float32: a multiple of the tensor-core step, with zeros at the end.
inline constexpr Index kCodeStep = 64;
inline constexpr Index kFloatStep = 16;
// With more columns the inner product of codes might leave the range that cuda/catch_up.cu compares in.
inline constexpr Index kMostCodeColumns = 16384;

inline Index padded(Index columns, Index step) {
  return (columns + step - 1) / step * step;
}

// The scale for codes, found on a sample of the points.
float choose_code_scale(Points& points, Control& control);

// Where codes go: entries first .. first + count - 1 of arrays.
struct CodeStore {
  std::int8_t* codes = nullptr;
  RowNumbers* numbers = nullptr;
  std::uint32_t* reaches = nullptr;  // by tile of kMostTilePicks entries; zeros to begin with
  Index first = 0;
};

// Codes `count` rows; self_dots (null but for cosine) by row.
void code_rows(const Packing& packing, Rows rows, Index count, const double* self_dots, float scale,
               const CodeStore& store, const Device& device);

// Packs `count` rows as float32. Of the numbers only squared_norm is written.
void pack_rows(const Packing& packing, Rows rows, Index count, const double* self_dots, float* packed,
               RowNumbers* numbers, const Device& device);
// The same for listed rows, in the order of the list; self_dots by number of the row.
void pack_listed(const Packing& packing, const ListedRows& listed, const double* self_dots, float* packed,
                 RowNumbers* numbers, const Device& device);

}  // namespace farpoint::cuda
