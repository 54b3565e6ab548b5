#include <algorithm>
#include <vector>

#include "cpu/bit_screen.h"

namespace farpoint::cpu {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

BitBlock::BitBlock(const Points& points, Index max_groups)
    : Slots(points.frame().bits().lanes, max_groups),
      points_(&points),
      words_(points.frame().words()),
      panel_(at(capacity() * words_)),
      numbers_(at(capacity() * kBitNumbers)) {}

void BitBlock::pack(std::span<const Index> rows) {
  const auto lanes = at(this->lanes());
  std::vector<std::uint64_t> row(at(words_));
  for (std::size_t begin = 0; begin < rows.size(); begin += lanes) {
    const auto part = rows.subspan(begin, std::min(lanes, rows.size() - begin));
    const Index g = add_group(part);
    for (std::size_t l = 0; l < lanes; ++l) {
      const Index slot = g * this->lanes() + static_cast<Index>(l);
      std::ranges::fill(row, std::uint64_t{0});
      double count = 0;
      if (l < part.size()) {
        points_->frame().copy_words(points_->row(part[l]), row.data());
        count = points_->self_dot(part[l]);
      }
      std::uint64_t* out = panel_.data() + g * this->lanes() * words_ + static_cast<Index>(l);
      for (Index w = 0; w < words_; ++w) {
        out[w * this->lanes()] = row[at(w)];
      }
      number(slot, kBitFactor) = BitBound().factor;
      number(slot, kBitBias) = BitBound().bias;
      number(slot, kBitCount) = count;
    }
  }
}

void BitBlock::set_value(Index slot, double value) {
  const BitBound bound = bit_bound(points_->frame().metric(), number(slot, kBitCount), value);
  number(slot, kBitFactor) = bound.factor;
  number(slot, kBitBias) = bound.bias;
}

void BitBlock::remove(Index slot) {
  free_slot(slot);
  number(slot, kBitFactor) = BitBound().factor;
  number(slot, kBitBias) = BitBound().bias;
}

void BitBlock::compact() {
  close_gaps([this](Index from, Index to) {
    const std::uint64_t* source = group(from / lanes()) + from % lanes();
    std::uint64_t* target = panel_.data() + to / lanes() * lanes() * words_ + to % lanes();
    for (Index w = 0; w < words_; ++w) {
      target[w * lanes()] = source[w * lanes()];
    }
    for (int which = 0; which < kBitNumbers; ++which) {
      number(to, which) = number(from, which);
    }
  });
}

}  // namespace farpoint::cpu
