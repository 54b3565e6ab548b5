// The screen of packed bits in the pick loop, beside those of screens.h: exact counts of common bits,
// compared as core/bit_bound.h proves. There is nothing to centre, to scale or to round, so there are no
// codes, no heads and no cells. Rows that meet many picks do so by columns (bit_columns.h).
#pragma once

#include <span>
#include <vector>

#include "core/bit_bound.h"
#include "cpu/bit_kernels.h"
#include "cpu/blocks.h"
#include "cpu/select.h"

namespace farpoint::cpu {

// Rows as words, interleaved in groups of lanes, with their numbers of bits.
class BitBlock : public Slots {
 public:
  BitBlock(const Points& points, Index max_groups);

  // Appends rows (at most capacity() in all); no value yet, so none survives a screen.
  void pack(std::span<const Index> rows);
  const std::uint64_t* group(Index g) const { return panel_.data() + g * lanes() * words_; }
  const double* numbers(Index g) const { return numbers_.data() + g * lanes() * kBitNumbers; }
  void set_value(Index slot, double value);
  // The slot's point leaves: it never survives a screen again.
  void remove(Index slot);
  void compact();

 private:
  double& number(Index slot, int which) {
    return numbers_[static_cast<std::size_t>((slot / lanes() * kBitNumbers + which) * lanes() +
                                             slot % lanes())];
  }

  const Points* points_;
  Index words_;
  std::vector<std::uint64_t> panel_;
  std::vector<double> numbers_;
};

class BitScreen {
 public:
  using Block = BitBlock;
  static constexpr bool kTwoSteps = false;

  explicit BitScreen(const Points& points) : points_(&points) {}

  Index row_bytes() const { return points_->frame().words() * static_cast<Index>(sizeof(std::uint64_t)); }
  int lanes() const { return points_->frame().bits().lanes; }
  Block make_block(Index max_groups) const { return {*points_, max_groups}; }

  // One pick against blocks.
  class Pick {
   public:
    explicit Pick(const BitScreen& screen)
        : points_(screen.points_), words_(static_cast<std::size_t>(screen.points_->frame().words())) {}
    void load(Index row) {
      points_->frame().copy_words(points_->row(row), words_.data());
      count_ = points_->self_dot(row);
    }
    std::uint32_t screen(const Block& block, Index g) const {
      return points_->frame().bits().screen_row(block.group(g), block.numbers(g), words_.data(), count_,
                                                static_cast<Index>(words_.size()));
    }
    static bool confirm(const Block& /*block*/, Index /*slot*/) { return true; }

   private:
    const Points* points_;
    std::vector<std::uint64_t> words_;
    double count_ = 0;
  };

 private:
  const Points* points_;
};

}  // namespace farpoint::cpu
