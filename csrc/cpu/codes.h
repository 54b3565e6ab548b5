// Rows as int8 codes with the numbers that certify them (core/bounds.h, step 6).
//
// CodedRows holds codes of rows of a matrix, of all of them or of those that were asked for; where a row's
// codes lie never changes. CodeTiles holds a growing list of coded rows, in tiles, as the screen takes picks.
//
// The first columns of a code are a code too, a prefix, if it comes with its own numbers (step 9). Prefixes
// end at multiples of kCodeColumns; all share a row's scale.
#pragma once

#include <span>
#include <vector>

#include "core/control.h"
#include "cpu/points.h"
#include "cpu/work_memory.h"

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

// What core/bounds.h needs to know of a prefix of a coded row beside the row's scale and norm.
struct PrefixCode {
  float norm = 0;
  float residual = 0;
  float tail = 0;
};

// The numbers of coded rows, of all their prefixes where these are wanted: 30 bytes for the five shorter
// ones of 192 columns, as 16-bit multiples of a unit that each row has of its own.
class RowNumbers {
 public:
  // Of rows of so many prefixes, the whole row among them. 1: the shorter ones are not kept.
  RowNumbers(WorkMemory& memory, Index prefixes);

  // Makes room for so many entries in all.
  void grow_to(Index entries);
  RowCode& whole(Index entry) { return *whole_.entry(entry); }
  const RowCode& whole(Index entry) const { return *whole_.entry(entry); }
  // Keeps what is at least as much as the numbers of the shorter prefixes, by rising length.
  void set_shorter(Index entry, std::span<const PrefixCode> codes);
  // The numbers of prefix number `prefix`, 0 the shortest, but for the offset.
  RowCode prefix(Index entry, Index prefix) const;

 private:
  static constexpr Index kNumbers = 3;

  Index shorter_;
  Slabs<RowCode> whole_;
  Slabs<float> units_;
  Slabs<std::uint16_t> multiples_;  // norm, residual and tail of each prefix
};

// Rows of a slab.
inline constexpr Index kSlabRows = 4096;

class CodedRows {
 public:
  // Codes of `columns` columns, with the numbers of their prefixes if wanted; no row is there yet.
  CodedRows(WorkMemory& memory, const CodeKernels& kernels, Index columns, const ScreenBound& bound,
            bool prefixes = false)
      : kernels_(&kernels),
        columns_(columns),
        padded_(padded_columns(columns)),
        bound_(bound),
        codes_(memory, "codes of rows", padded_, kSlabRows),
        numbers_(memory, prefixes ? padded_ / kCodeColumns : 1) {}

  const CodeKernels& kernels() const { return *kernels_; }
  const ScreenBound& bound() const { return bound_; }
  Index columns() const { return columns_; }
  Index padded() const { return padded_; }
  Index size() const { return size_; }

  // Makes room for `count` more rows, which are entries size() to size() + count - 1.
  void grow(Index count);
  std::int8_t* entry_codes(Index entry) { return codes_.entry(entry); }
  const std::int8_t* entry_codes(Index entry) const { return codes_.entry(entry); }
  RowNumbers& entry_numbers() { return numbers_; }

  // Row i is entry `entry`. Without any such call row i is entry i.
  void map_rows(Index rows, WorkMemory& memory) {
    entry_of_row_ = WorkArray<std::int32_t>(memory, rows, "the places of coded rows", Counted::now);
    std::ranges::fill(entry_of_row_, -1);
  }
  void map(Index row, Index entry) {
    entry_of_row_[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(entry);
  }
  bool has(Index row) const { return entry(row) >= 0; }

  const std::int8_t* codes(Index row) const { return entry_codes(entry(row)); }
  const RowCode& numbers(Index row) const { return numbers_.whole(entry(row)); }
  // Of the first `columns` columns: padded(), or a multiple of kCodeColumns where prefixes are kept. The
  // offset is there for padded() alone.
  RowCode numbers(Index row, Index columns) const {
    return columns == padded_ ? numbers(row) : numbers_.prefix(entry(row), columns / kCodeColumns - 1);
  }

 private:
  Index entry(Index row) const {
    return entry_of_row_.empty() ? row : entry_of_row_[static_cast<std::size_t>(row)];
  }

  const CodeKernels* kernels_;
  Index columns_;
  Index padded_;
  ScreenBound bound_;
  Index size_ = 0;
  Slabs<std::int8_t> codes_;
  RowNumbers numbers_;
  WorkArray<std::int32_t> entry_of_row_;
};

// All rows of a matrix in their own (packed) coordinates.
CodedRows code_all_rows(const Points& points, WorkMemory& memory, ThreadTeam& team, Control& control);

// One row that need not be of the matrix; `packed` is working memory.
RowCode code_row(const Frame& frame, const std::byte* row, double self_dot, std::vector<float>& packed,
                 std::int8_t* codes);

// RowCode::offset of the first `columns` columns.
std::int32_t code_offset(const CodeKernels& kernels, const std::int8_t* codes, Index columns);

// A growing list of picks' numbers, a tile after the other.
class PickCodes {
 public:
  explicit PickCodes(WorkMemory& memory)
      : picks_(memory, "numbers of coded picks", kCodeTilePicks, kSlabTiles) {}

  Index size() const { return size_; }
  void append(const PickCode& pick);

  // Unused places of the last tile have bias +infinity: they never survive.
  const PickCode* tile(Index t) const { return picks_.entry(t); }
  const PickCode& pick(Index p) const { return picks_.entry(p / kCodeTilePicks)[p % kCodeTilePicks]; }

 private:
  static constexpr Index kSlabTiles = 512;

  Index size_ = 0;
  Slabs<PickCode> picks_;
};

class CodeTiles {
 public:
  CodeTiles(WorkMemory& memory, Index padded)
      : padded_(padded),
        codes_(memory, "codes of picks", kCodeTilePicks * padded, kSlabTiles),
        picks_(memory) {}

  Index size() const { return picks_.size(); }
  Index tiles() const { return (size() + kCodeTilePicks - 1) / kCodeTilePicks; }
  void append(const std::int8_t* codes, const PickCode& pick);

  const std::int8_t* tile(Index t) const { return codes_.entry(t); }
  const PickCodes& picks() const { return picks_; }
  const PickCode* picks(Index t) const { return picks_.tile(t); }
  const PickCode& pick(Index p) const { return picks_.pick(p); }
  // The codes of pick p, contiguous.
  void copy_codes(Index p, std::int8_t* codes) const;

 private:
  static constexpr Index kSlabTiles = 128;

  Index padded_;
  Slabs<std::int8_t> codes_;
  PickCodes picks_;
};

}  // namespace farpoint::cpu
