// Packed bits by columns (bit_kernels.h): what many rows are compared with, and the comparison.
//
// A row lists the bits that it has set once, and meets a block of picks as the sum of so many columns. The
// sums are exact, so that what a screen lets through has its canonical value from them, without a look at the
// rows.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>
#include <vector>

#include "core/bit_bound.h"
#include "cpu/bit_kernels.h"
#include "cpu/points.h"
#include "cpu/work_memory.h"

namespace farpoint::cpu {

// Which bits of a row are set, rising.
using SetBits = std::span<const std::uint32_t>;

// Those of some rows.
class BitLists {
 public:
  explicit BitLists(const Frame& frame) : frame_(&frame) {}

  void clear() { starts_.assign(1, 0); }
  void append(const std::byte* row) {
    // Room for the longest row and what its last word writes beyond it.
    const auto room = static_cast<std::size_t>(frame_->dimension() * 8 + kListSlack);
    if (numbers_.size() < starts_.back() + room) {
      numbers_.resize(starts_.back() + room);
    }
    const Index count = frame_->bits().list_bits(row, frame_->dimension(), numbers_.data() + starts_.back());
    starts_.push_back(starts_.back() + static_cast<std::size_t>(count));
  }
  SetBits row(Index r) const {
    const auto first = starts_[static_cast<std::size_t>(r)];
    return {numbers_.data() + first, starts_[static_cast<std::size_t>(r) + 1] - first};
  }
  // Of one row alone.
  SetBits only(const std::byte* row) {
    clear();
    append(row);
    return this->row(0);
  }

 private:
  const Frame* frame_;
  std::vector<std::uint32_t> numbers_;
  std::vector<std::size_t> starts_{0};
};

class BitColumns {
 public:
  BitColumns(WorkMemory& memory, const Frame& frame);

  Index size() const { return size_; }
  Index blocks() const { return (size_ + kBlockPicks - 1) / kBlockPicks; }
  void append(const std::byte* row);

  // Calls visit(pick, value) for picks of a block from `first` on, rising: all whose canonical value to the
  // row with these bits is below what `bound` was made for, and perhaps some others.
  template <class Visit>
  void screen(SetBits row, const BitBound& bound, Index block, Index first, const Visit& visit) const {
    std::array<std::uint64_t, kBlockWords> least{};
    std::array<std::uint64_t, kBlockWords> survivors{};
    std::array<std::uint64_t, std::size_t{kBitPlanes} * kBlockWords> planes;  // written where it is read
    const auto n = static_cast<Index>(row.size());
    const Index begin = block * kBlockPicks;
    const Counts& counts = counts_[static_cast<std::size_t>(block)];
    for (std::size_t w = 0; w < kBlockWords; ++w) {
      const bool unseen = begin + static_cast<Index>(w + 1) * 64 > first;
      least[w] = unseen ? least_common(n, bound, counts.least[w], counts.most[w])
                        : static_cast<std::uint64_t>(n) + 1;
    }
    const int ends = frame_->bits().screen_block(row.data(), n, columns_.entry(block), least.data(),
                                                 planes.data(), survivors.data());
    if (ends == 0) {
      return;
    }
    for (std::size_t w = 0; w < kBlockWords; ++w) {
      const Index start = begin + static_cast<Index>(w) * 64;
      std::uint64_t mask = survivors[w];
      if (mask != 0 && start < first) {
        mask &= ~std::uint64_t{0} << (first - start);  // less than 64: words of seen picks let none through
      }
      for (; mask != 0; mask &= mask - 1) {
        const int lane = std::countr_zero(mask);
        std::uint64_t common = 0;
        for (int i = 0; i < ends; ++i) {
          common |= (planes[static_cast<std::size_t>(i) * kBlockWords + w] >> lane & 1) << i;
        }
        const Index pick = start + lane;
        if (pick < size_) {
          visit(pick, frame_->bit_value(static_cast<double>(common), static_cast<double>(n),
                                        counts.of[static_cast<std::size_t>(pick - begin)]));
        }
      }
    }
  }

 private:
  // Bits set in the picks of a block, and the fewest and the most of each word of picks.
  struct Counts {
    std::array<double, kBlockPicks> of{};
    std::array<double, kBlockWords> least{};
    std::array<double, kBlockWords> most{};
  };

  // How many common bits a pick must have, of whose bits at least `low` and at most `high` are set; n + 1
  // where none can have as many. The test's right side rises with them, for no factor is negative.
  static std::uint64_t least_common(Index n, const BitBound& bound, double low, double high) {
    const double most = std::min(static_cast<double>(n), high);
    const double above = bound.factor * low + bound.bias;
    if (!(above < most)) {
      return static_cast<std::uint64_t>(n) + 1;
    }
    return above < 0.0 ? 0 : static_cast<std::uint64_t>(above) + 1;
  }

  const Frame* frame_;
  BitLists list_;
  Index line_;  // words of a block
  Index size_ = 0;
  Slabs<std::uint64_t> columns_;
  std::vector<Counts> counts_;
};

// Rows of a task, so that their lists stay in the second-level cache.
inline Index rows_of_bits(const Frame& frame) {
  constexpr Index kListBytes = Index{512} << 10;
  return std::clamp<Index>(kListBytes / (frame.dimension() * 8 * static_cast<Index>(sizeof(std::uint32_t))),
                           1, 64);
}

}  // namespace farpoint::cpu
