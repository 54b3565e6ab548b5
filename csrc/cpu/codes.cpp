#include "cpu/codes.h"

#include <cstring>
#include <limits>

#include "core/tuning.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

Index padded_columns(Index columns) {
  return (columns + kCodeColumns - 1) / kCodeColumns * kCodeColumns;
}

PickCode pick_code(const RowCode& code, const ScreenBound& bound) {
  // The sum of two rounded-up numbers, rounded: one more unit makes up for it.
  const float reach = (code.norm + code.residual) * (1.0F + 0x1p-22F);
  return {
      code.scale, code.residual, reach, code.tail, bound.pick_bias(static_cast<double>(code.squared_norm)),
      code.offset};
}

void CodedRows::grow(Index count) {
  size_ += count;
  numbers_.resize(at(size_));
  while (static_cast<Index>(slabs_.size()) * kSlabRows < size_) {
    slabs_.push_back(std::make_unique_for_overwrite<std::int8_t[]>(at(kSlabRows * padded_)));
  }
}

RowCode code_row(const Frame& frame, const std::byte* row, double self_dot, std::vector<float>& packed,
                 std::int8_t* codes) {
  packed.resize(at(frame.dimension()));
  const double squared_norm = frame.pack_row(row, self_dot, packed.data());
  RowCode code;
  frame.code().encode(packed.data(), frame.dimension(), padded_columns(frame.dimension()), codes, &code);
  // A little less: rounding to float32 must not raise it.
  code.squared_norm = static_cast<float>(squared_norm * (1.0 - 0x1p-23));
  return code;
}

CodedRows code_all_rows(const Points& points, ThreadTeam& team, Control& control) {
  const Frame& frame = points.frame();
  CodedRows rows(frame.code(), frame.dimension(), frame.code_bound(0.0));
  rows.grow(points.size());
  team.for_each(points.size(), tuning::kRowsPerTask, control, [&](int, Index begin, Index end) {
    std::vector<float> packed;
    for (Index i = begin; i < end; ++i) {
      rows.entry_numbers(i) = code_row(frame, points.row(i), points.self_dot(i), packed, rows.entry_codes(i));
    }
  });
  return rows;
}

void CodeTiles::append(const std::int8_t* codes, const PickCode& pick) {
  const Index tile = size_ / kCodeTilePicks;
  const Index place = size_ % kCodeTilePicks;
  if (place == 0) {
    if (tile % kSlabTiles == 0) {
      slabs_.push_back(
          std::make_unique_for_overwrite<std::int8_t[]>(at(kSlabTiles * kCodeTilePicks * padded_)));
    }
    // The unused places of a tile are zero rows.
    std::memset(slabs_.back().get() + tile % kSlabTiles * (kCodeTilePicks * padded_), 0,
                at(Index{kCodeTilePicks} * padded_));
    PickCode unused;
    unused.bias = std::numeric_limits<float>::infinity();
    picks_.resize(picks_.size() + at(kCodeTilePicks), unused);
  }
  std::int8_t* out = slabs_.back().get() + tile % kSlabTiles * (kCodeTilePicks * padded_) + place * 4;
  for (Index c = 0; c < padded_ / 4; ++c) {
    std::memcpy(out + c * (Index{4} * kCodeTilePicks), codes + 4 * c, 4);
  }
  picks_[at(size_)] = pick;
  ++size_;
}

}  // namespace farpoint::cpu
