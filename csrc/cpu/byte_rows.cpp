#include "cpu/byte_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/tuning.h"

namespace farpoint::cpu {
namespace {

constexpr float kNeverSurvives = std::numeric_limits<float>::infinity();
constexpr Index kWordColumns = 8;
// Steps must be far from where their inverse overflows.
constexpr float kLeastStep = 0x1p-100F;

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// The magnitude that the largest code stands for. What is beyond it is rounded to it: that costs a sum less
// than coarser steps for all others would, but a maximum everything.
float reach_of(const Points& points) {
  const Frame& frame = points.frame();
  const Index d = frame.dimension();
  const Index rows = std::min(points.size(), std::max<Index>(tuning::kByteSample / d, 1));
  std::vector<float> magnitudes(at(rows * d));
  for (Index s = 0; s < rows; ++s) {
    const Index i = s * points.size() / rows;
    frame.pack_row(points.row(i), 0.0, magnitudes.data() + s * d);
  }
  for (float& x : magnitudes) {
    x = std::abs(x);
  }
  const double share = frame.metric() == Metric::manhattan ? tuning::kByteShare : 1.0;
  const auto rank = static_cast<Index>(share * static_cast<double>(rows * d - 1));
  const auto place = magnitudes.begin() + rank;
  std::ranges::nth_element(magnitudes, place);
  return *place;
}

}  // namespace

ByteCoder::ByteCoder(const Points& points) : frame_(&points.frame()) {
  if (!frame_->differences() || !frame_->byte_bound(1.0).usable() || points.size() == 0) {
    return;
  }
  step_ = reach_of(points) / 127.0F;
  if (step_ < kLeastStep) {
    return;
  }
  const ByteKernels& kernels = frame_->byte_kernels();
  screen_ = frame_->metric() == Metric::manhattan ? &kernels.manhattan : &kernels.chebyshev;
  words_ = (frame_->dimension() + kWordColumns - 1) / kWordColumns;
  bound_ = frame_->byte_bound(step_);
}

double ByteCoder::code(const std::byte* row, std::vector<float>& packed, std::uint64_t* words) const {
  const Index d = frame_->dimension();
  packed.resize(at(d));
  const double squared_norm = frame_->pack_row(row, 0.0, packed.data());
  words[words_ - 1] = 0;  // the last one may be part padding
  const double rest = screen_->encode(packed.data(), d, step_, reinterpret_cast<std::uint8_t*>(words));
  return bound_.error(squared_norm, rest);
}

ByteBlock::ByteBlock(const Points& points, const ByteCoder& coder, Index max_groups)
    : Slots(coder.lanes(), max_groups),
      points_(&points),
      coder_(&coder),
      panel_(at(capacity() * coder.words())),
      bias_(at(capacity())),
      errors_(at(capacity())),
      row_words_(at(coder.words())) {}

void ByteBlock::pack(std::span<const Index> rows) {
  const auto lanes = at(this->lanes());
  for (std::size_t begin = 0; begin < rows.size(); begin += lanes) {
    const auto part = rows.subspan(begin, std::min(lanes, rows.size() - begin));
    const Index g = add_group(part);
    // Lanes without a point keep what they held: they never survive.
    std::fill_n(bias_.begin() + g * this->lanes(), lanes, kNeverSurvives);
    for (std::size_t l = 0; l < part.size(); ++l) {
      const Index slot = g * this->lanes() + static_cast<Index>(l);
      errors_[at(slot)] = coder_->code(points_->row(part[l]), packed_, row_words_.data());
      std::uint64_t* out = panel_.data() + place(slot);
      for (Index c = 0; c < coder_->words(); ++c) {
        out[c * this->lanes()] = row_words_[at(c)];
      }
    }
  }
}

void ByteBlock::set_value(Index slot, double value) {
  bias_[at(slot)] = coder_->bound().point_bias(errors_[at(slot)], value);
}

void ByteBlock::remove(Index slot) {
  free_slot(slot);
  bias_[at(slot)] = kNeverSurvives;
}

void ByteBlock::compact() {
  close_gaps([this](Index from, Index to) {
    const std::uint64_t* source = panel_.data() + place(from);
    std::uint64_t* target = panel_.data() + place(to);
    for (Index c = 0; c < coder_->words(); ++c) {
      target[c * lanes()] = source[c * lanes()];
    }
    bias_[at(to)] = bias_[at(from)];
    errors_[at(to)] = errors_[at(from)];
  });
}

}  // namespace farpoint::cpu
