#include "cpu/blocks.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

namespace farpoint::cpu {
namespace {

constexpr float kNeverSurvives = std::numeric_limits<float>::infinity();

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

Index Slots::add_group(std::span<const Index> rows) {
  const auto first = rows_.begin() + groups_ * lanes_;
  std::ranges::copy(rows, first);
  std::fill(first + static_cast<Index>(rows.size()), first + lanes_, Index{-1});
  living_ += static_cast<Index>(rows.size());
  return groups_++;
}

void Slots::free_slot(Index slot) {
  rows_[at(slot)] = -1;
  --living_;
}

FloatBlock::FloatBlock(const Points& points, Index max_groups)
    : Slots(points.frame().lanes(), max_groups),
      points_(&points),
      dimension_(points.frame().dimension()),
      group_floats_(points.frame().group_floats()),
      panel_(at(max_groups * group_floats_)),
      bias_(at(capacity())),
      norms_(at(capacity())) {}

void FloatBlock::pack(std::span<const Index> rows) {
  std::array<const std::byte*, kMaxLanes> pointers{};
  std::array<double, kMaxLanes> self_dots{};
  const auto lanes = at(this->lanes());
  for (std::size_t begin = 0; begin < rows.size(); begin += lanes) {
    const auto part = rows.subspan(begin, std::min(lanes, rows.size() - begin));
    for (std::size_t l = 0; l < part.size(); ++l) {
      pointers[l] = points_->row(part[l]);
      self_dots[l] = points_->self_dot(part[l]);
    }
    const Index g = add_group(part);
    const auto first = at(g) * lanes;
    std::fill_n(bias_.begin() + g * this->lanes(), lanes, kNeverSurvives);
    points_->frame().pack_group(std::span(pointers).first(part.size()),
                                std::span(self_dots).first(part.size()), panel_.data() + g * group_floats_,
                                scratch_, norms_.data() + first);
  }
}

void FloatBlock::set_value(Index slot, double value) {
  bias_[at(slot)] = points_->frame().point_bias(norms_[at(slot)], value);
}

void FloatBlock::remove(Index slot) {
  free_slot(slot);
  bias_[at(slot)] = kNeverSurvives;
}

void FloatBlock::compact() {
  close_gaps([this](Index from, Index to) {
    const float* source = panel_.data() + from / lanes() * group_floats_ + from % lanes();
    float* target = panel_.data() + to / lanes() * group_floats_ + to % lanes();
    for (Index j = 0; j < dimension_; ++j) {
      target[j * lanes()] = source[j * lanes()];
    }
    bias_[at(to)] = bias_[at(from)];
    norms_[at(to)] = norms_[at(from)];
  });
}

CodeBlock::CodeBlock(const CodedRows& rows, Index columns, const CodedRows* whole, Index max_groups)
    : Slots(rows.kernels().lanes, max_groups),
      coded_(&rows),
      columns_(columns),
      whole_(whole),
      panel_(at(capacity() * columns_)),
      numbers_(at(capacity() * kLaneNumbers)),
      wholes_(whole == nullptr ? 0 : at(capacity())) {}

void CodeBlock::pack(std::span<const Index> rows) {
  std::array<const std::int8_t*, kMaxLanes> pointers{};
  const auto lanes = at(this->lanes());
  for (std::size_t begin = 0; begin < rows.size(); begin += lanes) {
    const auto part = rows.subspan(begin, std::min(lanes, rows.size() - begin));
    const Index g = add_group(part);
    pointers.fill(nullptr);
    for (std::size_t l = 0; l < lanes; ++l) {
      const Index slot = g * this->lanes() + static_cast<Index>(l);
      RowCode code{};
      if (l < part.size()) {
        pointers[l] = coded_->codes(part[l]);
        code = coded_->numbers(part[l], columns_);
        if (whole_ != nullptr) {
          wholes_[at(slot)] = {whole_->codes(part[l]), kNeverSurvives, whole_->numbers(part[l])};
        }
      }
      number(slot, kLaneBias) = kNeverSurvives;
      number(slot, kLaneScale) = code.scale;
      number(slot, kLaneNorm) = code.norm;
      number(slot, kLaneResidual) = code.residual;
      number(slot, kLaneTail) = code.tail;
    }
    coded_->kernels().interleave(pointers.data(), columns_, panel_.data() + g * this->lanes() * columns_);
  }
}

void CodeBlock::set_value(Index slot, double value) {
  number(slot, kLaneBias) =
      coded_->bound().point_bias(static_cast<double>(coded_->numbers(row(slot)).squared_norm), value);
  if (whole_ != nullptr) {
    Whole& whole = wholes_[at(slot)];
    whole.bias = whole_->bound().point_bias(static_cast<double>(whole.numbers.squared_norm), value);
  }
}

void CodeBlock::remove(Index slot) {
  free_slot(slot);
  number(slot, kLaneBias) = kNeverSurvives;
}

void CodeBlock::compact() {
  close_gaps([this](Index from, Index to) {
    const std::uint8_t* source = group(from / lanes()) + from % lanes() * 4;
    std::uint8_t* target = panel_.data() + to / lanes() * lanes() * columns_ + to % lanes() * 4;
    for (Index c = 0; c < columns_ / 4; ++c) {
      std::memcpy(target + c * 4 * lanes(), source + c * 4 * lanes(), 4);
    }
    for (int which = 0; which < kLaneNumbers; ++which) {
      number(to, which) = number(from, which);
    }
    if (whole_ != nullptr) {
      wholes_[at(to)] = wholes_[at(from)];
    }
  });
}

}  // namespace farpoint::cpu
