// Rows as int8 codes with the numbers that certify them (core/bounds.h, step 6).
//
// CodedRows holds codes of rows of a matrix, of all of them or of those that were asked for; where a row's
// codes lie never changes. CodeTiles holds a growing list of coded rows, in tiles, as the screen takes picks.
#pragma once

#include <memory>
#include <vector>

#include "core/control.h"
#include "cpu/points.h"

namespace farpoint::cpu {

// Columns as coded: a multiple of kCodeColumns.
Index padded_columns(Index columns);

// `code` as the test takes a pick.
PickCode pick_code(const RowCode& code, const ScreenBound& bound);

// What the test of code.inl compares with the point's bias, for one pair: an upper bound of the packed
// rows' inner product, less the pick's bias.
inline float pair_bound(std::int32_t dot, const RowCode& point, const PickCode& pick) {
  return static_cast<float>(dot) * (point.scale * pick.scale) +
         (point.norm * pick.residual + (point.residual * pick.reach + (point.tail * pick.tail - pick.bias)));
}
// True when the pair cannot be skipped.
inline bool pair_survives(std::int32_t dot, const RowCode& point, float bias, const PickCode& pick) {
  return pair_bound(dot, point, pick) > bias;
}

class CodedRows {
 public:
  // Room for codes of `columns` columns of `rows` rows; none is there yet.
  CodedRows(const CodeKernels& kernels, Index columns, const ScreenBound& bound)
      : kernels_(&kernels), columns_(columns), padded_(padded_columns(columns)), bound_(bound) {}

  const CodeKernels& kernels() const { return *kernels_; }
  const ScreenBound& bound() const { return bound_; }
  Index columns() const { return columns_; }
  Index padded() const { return padded_; }
  Index size() const { return size_; }

  // Makes room for `count` more rows, which are entries size() to size() + count - 1.
  void grow(Index count);
  std::int8_t* entry_codes(Index entry) {
    return slabs_[static_cast<std::size_t>(entry / kSlabRows)].get() + entry % kSlabRows * padded_;
  }
  const std::int8_t* entry_codes(Index entry) const {
    return slabs_[static_cast<std::size_t>(entry / kSlabRows)].get() + entry % kSlabRows * padded_;
  }
  RowCode& entry_numbers(Index entry) { return numbers_[static_cast<std::size_t>(entry)]; }

  // Row i is entry `entry`. Without any such call row i is entry i.
  void map_rows(Index rows) { entry_of_row_.assign(static_cast<std::size_t>(rows), -1); }
  void map(Index row, Index entry) {
    entry_of_row_[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(entry);
  }
  bool has(Index row) const { return entry(row) >= 0; }

  const std::int8_t* codes(Index row) const { return entry_codes(entry(row)); }
  const RowCode& numbers(Index row) const { return numbers_[static_cast<std::size_t>(entry(row))]; }

 private:
  // Slabs and not one array: growing would copy everything, and move it.
  static constexpr Index kSlabRows = 4096;

  Index entry(Index row) const {
    return entry_of_row_.empty() ? row : entry_of_row_[static_cast<std::size_t>(row)];
  }

  const CodeKernels* kernels_;
  Index columns_;
  Index padded_;
  ScreenBound bound_;
  Index size_ = 0;
  std::vector<std::unique_ptr<std::int8_t[]>> slabs_;
  std::vector<RowCode> numbers_;
  std::vector<std::int32_t> entry_of_row_;
};

// All rows of a matrix in their own (packed) coordinates.
CodedRows code_all_rows(const Points& points, ThreadTeam& team, Control& control);

// One row that need not be of the matrix; `packed` is working memory.
RowCode code_row(const Frame& frame, const std::byte* row, double self_dot, std::vector<float>& packed,
                 std::int8_t* codes);

class CodeTiles {
 public:
  explicit CodeTiles(Index padded) : padded_(padded) {}

  Index size() const { return size_; }
  Index tiles() const { return (size_ + kCodeTilePicks - 1) / kCodeTilePicks; }
  void append(const std::int8_t* codes, const PickCode& pick);

  const std::int8_t* tile(Index t) const {
    return slabs_[static_cast<std::size_t>(t / kSlabTiles)].get() +
           t % kSlabTiles * (kCodeTilePicks * padded_);
  }
  // Unused places of the last tile have bias +infinity: they never survive.
  const PickCode* picks(Index t) const { return picks_.data() + t * kCodeTilePicks; }
  const PickCode& pick(Index p) const { return picks_[static_cast<std::size_t>(p)]; }

 private:
  static constexpr Index kSlabTiles = 128;

  Index padded_;
  Index size_ = 0;
  std::vector<std::unique_ptr<std::int8_t[]>> slabs_;
  std::vector<PickCode> picks_;
};

}  // namespace farpoint::cpu
