// Rows as bytes (bytes.inl): what a selection by manhattan or chebyshev distances is screened with where
// their steps are fine enough. Rows are coded when a block takes them, so nothing is kept of all rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/difference_bound.h"
#include "cpu/blocks.h"
#include "cpu/points.h"

namespace farpoint::cpu {

// How the rows of a frame become bytes: with which step, and what the bound then is.
class ByteCoder {
 public:
  // Finds the step from a sample of the points.
  explicit ByteCoder(const Points& points);

  // Whether there is a step that says anything, which products never have.
  bool usable() const { return words_ > 0 && bound_.usable(); }
  int lanes() const { return frame_->byte_kernels().lanes; }
  int tile_picks() const { return frame_->byte_kernels().tile_picks; }
  Index words() const { return words_; }
  const DifferenceBound& bound() const { return bound_; }
  const ByteKernels::Screen& screen() const { return *screen_; }

  // Codes a row into words(); returns its error, as the bound takes it. `packed` is working memory.
  double code(const std::byte* row, std::vector<float>& packed, std::uint64_t* words) const;

 private:
  const Frame* frame_;
  const ByteKernels::Screen* screen_ = nullptr;
  Index words_ = 0;  // of a row
  float step_ = 0;
  DifferenceBound bound_;
};

class ByteBlock : public Slots {
 public:
  ByteBlock(const Points& points, const ByteCoder& coder, Index max_groups);

  // As FloatBlock has them.
  void pack(std::span<const Index> rows);
  const std::uint64_t* group(Index g) const { return panel_.data() + g * lanes() * coder_->words(); }
  const float* bias(Index g) const { return bias_.data() + g * lanes(); }
  void set_value(Index slot, double value);
  void remove(Index slot);
  void compact();

 private:
  // Where the first word of a slot is; the others are `lanes` words apart.
  Index place(Index slot) const {
    return slot / lanes() * lanes() * coder_->words() + byte_place(slot % lanes(), lanes());
  }

  const Points* points_;
  const ByteCoder* coder_;
  std::vector<std::uint64_t> panel_;
  std::vector<float> bias_;
  std::vector<double> errors_;
  std::vector<float> packed_;
  std::vector<std::uint64_t> row_words_;
};

}  // namespace farpoint::cpu
