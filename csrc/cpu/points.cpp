#include "cpu/points.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/contract.h"
#include "core/tuning.h"

namespace farpoint::cpu {
namespace {

// The power of two that brings `largest` to [1/2, 1).
double packing_scale_for(double largest) {
  if (!(largest > 0.0)) {
    return 1.0;
  }
  int exponent = 0;
  std::frexp(largest, &exponent);
  return std::ldexp(1.0, -exponent);
}

// v' = v * value_to_packed (core/bounds.h). Stored values are scale * |x - y|^2, packed ones
// packing_scale^2 * |x - y|^2; both factors are powers of two.
double value_to_packed(Metric metric, double scale, double packing_scale) {
  return metric == Metric::cosine ? 2.0 : packing_scale / scale * packing_scale;
}

}  // namespace

KernelSet kernel_set(SimdLevel level) {
  switch (level) {
#if defined(FARPOINT_X86_LEVELS)
    case SimdLevel::avx512:
      return {&avx512::screen_kernels(), &avx512::refine_kernels()};
    case SimdLevel::avx2:
      return {&avx2::screen_kernels(), &avx2::refine_kernels()};
#endif
    default:
      return {&baseline::screen_kernels(), &baseline::refine_kernels()};
  }
}

Frame::Frame(const MatrixView& sample, Metric metric, double scale, double largest, SimdLevel level)
    : kernels_(kernel_set(level)),
      metric_(metric),
      type_(sample.type),
      dimension_(sample.columns),
      scale_(scale),
      packing_scale_(metric == Metric::cosine ? 1.0 : packing_scale_for(largest)),
      centre_(static_cast<std::size_t>(sample.columns), 0.0),
      bound_(metric, sample.columns, value_to_packed(metric, scale, packing_scale_)) {
  // The mean of evenly spaced rows, in the coordinates that packing subtracts it in. Packing a row with
  // a zero centre is how elements of any type are read here; float32 is precise enough for a centre.
  const Index rows = std::min(sample.rows, tuning::kCentreSample);
  if (rows == 0) {
    return;
  }
  std::vector<double> sum(centre_.size(), 0.0);
  std::vector<float> packed(centre_.size());
  for (Index s = 0; s < rows; ++s) {
    const auto i = static_cast<Index>(static_cast<double>(s) * static_cast<double>(sample.rows) /
                                      static_cast<double>(rows));
    const std::byte* row = sample.row(i);
    pack_row(row, metric == Metric::cosine ? self_dot(row) : 0.0, packed.data());
    for (std::size_t j = 0; j < sum.size(); ++j) {
      sum[j] += static_cast<double>(packed[j]);
    }
  }
  for (std::size_t j = 0; j < sum.size(); ++j) {
    centre_[j] = sum[j] / static_cast<double>(rows) / packing_scale_;
  }
}

double Frame::value(const std::byte* x, double x_dot_x, const std::byte* y, double y_dot_y) const {
  const auto t = static_cast<std::size_t>(type_);
  if (metric_ == Metric::cosine) {
    return cosine_value(kernels_.refine->dot[t](x, y, dimension_), x_dot_x, y_dot_y, type_);
  }
  return squared_value(kernels_.refine->squared_difference[t](x, y, dimension_), scale_, type_);
}

double Frame::row_multiplier(double row_self_dot) const {
  return metric_ == Metric::cosine ? 1.0 / std::sqrt(row_self_dot) : 1.0;
}

void Frame::pack_group(std::span<const std::byte* const> rows, std::span<const double> self_dots, float* out,
                       std::vector<float>& scratch, double* squared_norms) const {
  std::array<const std::byte*, kMaxLanes> pointers{};
  std::array<double, kMaxLanes> before{};
  for (std::size_t l = 0; l < rows.size(); ++l) {
    pointers[l] = rows[l];
    before[l] = row_multiplier(self_dots[l]);
  }
  scratch.resize(static_cast<std::size_t>(group_floats()));
  kernels_.screen->pack_group[static_cast<std::size_t>(type_)](pointers.data(), dimension_, before.data(),
                                                               centre_.data(), packing_scale_, out,
                                                               scratch.data(), squared_norms);
}

double Frame::pack_row(const std::byte* row, double row_self_dot, float* out) const {
  return kernels_.screen->pack_row[static_cast<std::size_t>(type_)](
      row, dimension_, row_multiplier(row_self_dot), centre_.data(), packing_scale_, out);
}

Points::Points(const MatrixView& matrix, const Frame& frame, ThreadTeam& team, Control& control)
    : matrix_(matrix), frame_(&frame) {
  if (frame.metric() == Metric::cosine) {
    self_dots_.resize(static_cast<std::size_t>(matrix.rows));
    team.for_each(matrix.rows, tuning::kRowsPerTask, control, [&](int, Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        self_dots_[static_cast<std::size_t>(i)] = frame.self_dot(matrix.row(i));
      }
    });
  }
}

GroupBlock::GroupBlock(const Frame& frame, Index max_groups)
    : lanes_(frame.lanes()),
      dimension_(frame.dimension()),
      group_floats_(frame.group_floats()),
      max_groups_(max_groups),
      panel_(static_cast<std::size_t>(max_groups * group_floats_)),
      bias_(static_cast<std::size_t>(max_groups * lanes_)),
      norms_(static_cast<std::size_t>(max_groups * lanes_)),
      rows_(static_cast<std::size_t>(max_groups * lanes_), Index{-1}) {}

void GroupBlock::clear() {
  groups_ = 0;
  living_ = 0;
}

void GroupBlock::pack(const Points& points, std::span<const Index> rows) {
  std::array<const std::byte*, kMaxLanes> pointers{};
  std::array<double, kMaxLanes> self_dots{};
  const auto lanes = static_cast<std::size_t>(lanes_);
  for (std::size_t begin = 0; begin < rows.size(); begin += lanes) {
    const std::size_t count = std::min(lanes, rows.size() - begin);
    const auto first = static_cast<std::size_t>(groups_) * lanes;
    for (std::size_t l = 0; l < lanes; ++l) {
      rows_[first + l] = l < count ? rows[begin + l] : -1;
      bias_[first + l] = std::numeric_limits<float>::infinity();
      if (l < count) {
        pointers[l] = points.row(rows[begin + l]);
        self_dots[l] = points.self_dot(rows[begin + l]);
      }
    }
    points.frame().pack_group(std::span(pointers).first(count), std::span(self_dots).first(count),
                              panel_.data() + groups_ * group_floats_, scratch_, norms_.data() + first);
    ++groups_;
    living_ += static_cast<Index>(count);
  }
}

void GroupBlock::set_value(const Frame& frame, Index slot, double value) {
  const auto s = static_cast<std::size_t>(slot);
  bias_[s] = frame.bound().point_bias(norms_[s], value);
}

void GroupBlock::remove(Index slot) {
  const auto s = static_cast<std::size_t>(slot);
  rows_[s] = -1;
  bias_[s] = std::numeric_limits<float>::infinity();
  --living_;
}

void GroupBlock::move_slot(Index from, Index to) {
  const float* source = panel_.data() + from / lanes_ * group_floats_ + from % lanes_;
  float* target = panel_.data() + to / lanes_ * group_floats_ + to % lanes_;
  for (Index j = 0; j < dimension_; ++j) {
    target[j * lanes_] = source[j * lanes_];
  }
  const auto f = static_cast<std::size_t>(from);
  const auto t = static_cast<std::size_t>(to);
  bias_[t] = bias_[f];
  norms_[t] = norms_[f];
  rows_[t] = rows_[f];
  rows_[f] = -1;
}

void GroupBlock::compact() {
  const Index needed = (living_ + lanes_ - 1) / lanes_;
  Index free = 0;
  for (Index slot = needed * lanes_; slot < groups_ * lanes_; ++slot) {
    if (row(slot) < 0) {
      continue;
    }
    while (row(free) >= 0) {
      ++free;  // there is one below needed * lanes_: that many slots hold all the living
    }
    move_slot(slot, free);
  }
  groups_ = needed;
}

}  // namespace farpoint::cpu
