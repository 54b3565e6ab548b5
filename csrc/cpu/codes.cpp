#include "cpu/codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

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

RowNumbers::RowNumbers(WorkMemory& memory, Index prefixes)
    : shorter_(prefixes - 1),
      whole_(memory, "numbers of coded rows", 1, kSlabRows),
      units_(memory, "numbers of coded rows", 1, kSlabRows),
      multiples_(memory, "numbers of coded rows", shorter_ * kNumbers, kSlabRows) {}

void RowNumbers::grow_to(Index entries) {
  whole_.grow_to(entries);
  if (shorter_ > 0) {
    units_.grow_to(entries);
    multiples_.grow_to(entries);
  }
}

void RowNumbers::set_shorter(Index entry, std::span<const PrefixCode> codes) {
  if (codes.empty()) {
    return;
  }
  float largest = 0;
  for (const PrefixCode& code : codes) {
    largest = std::max({largest, code.norm, code.residual, code.tail});
  }
  constexpr float kMost = std::numeric_limits<std::uint16_t>::max();
  // A little more, so that kMost times it is enough for the largest.
  const float unit = largest / kMost * (1.0F + 0x1p-20F) + 0x1p-126F;
  *units_.entry(entry) = unit;
  std::uint16_t* out = multiples_.entry(entry);
  for (const PrefixCode& code : codes) {
    for (const float number : {code.norm, code.residual, code.tail}) {
      float multiple = std::min(std::floor(number / unit), kMost);
      while (multiple * unit < number) {
        ++multiple;
      }
      *out++ = static_cast<std::uint16_t>(multiple);
    }
  }
}

RowCode RowNumbers::prefix(Index entry, Index prefix) const {
  RowCode code = whole(entry);
  if (prefix < shorter_) {
    const float unit = *units_.entry(entry);
    const std::uint16_t* multiples = multiples_.entry(entry) + prefix * kNumbers;
    code.norm = static_cast<float>(multiples[0]) * unit;
    code.residual = static_cast<float>(multiples[1]) * unit;
    code.tail = static_cast<float>(multiples[2]) * unit;
    code.offset = 0;
  }
  return code;
}

std::int32_t code_offset(const CodeKernels& kernels, const std::int8_t* codes, Index columns) {
  return kernels.point_offset * std::accumulate(codes, codes + columns, std::int32_t{0});
}

void CodedRows::grow(Index count) {
  size_ += count;
  codes_.grow_to(size_);
  numbers_.grow_to(size_);
}

RowCode code_row(const Frame& frame, const std::byte* row, double self_dot, std::vector<float>& packed,
                 std::int8_t* codes) {
  packed.resize(at(frame.dimension()));
  const double squared_norm = frame.pack_row(row, self_dot, packed.data());
  RowCode code;
  frame.code().encode(packed.data(), frame.dimension(), padded_columns(frame.dimension()), codes, &code,
                      nullptr);
  // A little less: rounding to float32 must not raise it.
  code.squared_norm = static_cast<float>(squared_norm * (1.0 - 0x1p-23));
  return code;
}

CodedRows code_all_rows(const Points& points, WorkMemory& memory, ThreadTeam& team, Control& control) {
  const Frame& frame = points.frame();
  CodedRows rows(memory, frame.code(), frame.dimension(), frame.code_bound(0.0));
  rows.grow(points.size());
  team.for_each(points.size(), tuning::kRowsPerTask, control, [&](int, Index begin, Index end) {
    std::vector<float> packed;
    for (Index i = begin; i < end; ++i) {
      rows.entry_numbers().whole(i) =
          code_row(frame, points.row(i), points.self_dot(i), packed, rows.entry_codes(i));
    }
  });
  return rows;
}

void PickCodes::append(const PickCode& pick) {
  const Index tile = size_ / kCodeTilePicks;
  const Index place = size_ % kCodeTilePicks;
  if (place == 0) {
    PickCode unused;
    unused.bias = std::numeric_limits<float>::infinity();
    picks_.grow_to(tile + 1);
    std::fill_n(picks_.entry(tile), kCodeTilePicks, unused);
  }
  picks_.entry(tile)[place] = pick;
  ++size_;
}

void CodeTiles::append(const std::int8_t* codes, const PickCode& pick) {
  const Index tile = size() / kCodeTilePicks;
  const Index place = size() % kCodeTilePicks;
  if (place == 0) {
    codes_.grow_to(tile + 1);
    // The unused places of a tile are zero rows.
    std::memset(codes_.entry(tile), 0, at(Index{kCodeTilePicks} * padded_));
  }
  std::int8_t* out = codes_.entry(tile) + place * 4;
  for (Index c = 0; c < padded_ / 4; ++c) {
    std::memcpy(out + c * (Index{4} * kCodeTilePicks), codes + 4 * c, 4);
  }
  picks_.append(pick);
}

void CodeTiles::copy_codes(Index p, std::int8_t* codes) const {
  const std::int8_t* from = tile(p / kCodeTilePicks) + p % kCodeTilePicks * 4;
  for (Index c = 0; c < padded_ / 4; ++c) {
    std::memcpy(codes + 4 * c, from + c * (Index{4} * kCodeTilePicks), 4);
  }
}

}  // namespace farpoint::cpu
