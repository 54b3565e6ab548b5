#include "cpu/points.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/contract.h"
#include "core/packing.h"
#include "core/tuning.h"

namespace farpoint::cpu {
KernelSet kernel_set(SimdLevel level) {
  switch (level) {
#if defined(FARPOINT_ARM_LEVELS)
    case SimdLevel::neondot:
      return {&baseline::screen_kernels(), &baseline::byte_kernels(), &neondot::code_kernels(),
              &baseline::refine_kernels(), &baseline::bit_kernels()};
#endif
#if defined(FARPOINT_X86_LEVELS)
    case SimdLevel::avx512vnni:
      return {&avx512::screen_kernels(), &avx512::byte_kernels(), &avx512vnni::code_kernels(),
              &avx512::refine_kernels(), &avx512::bit_kernels()};
    case SimdLevel::avx512:
      return {&avx512::screen_kernels(), &avx512::byte_kernels(), &avx512::code_kernels(),
              &avx512::refine_kernels(), &avx512::bit_kernels()};
    case SimdLevel::avxvnni:
      return {&avx2::screen_kernels(), &avx2::byte_kernels(), &avxvnni::code_kernels(),
              &avx2::refine_kernels(), &avx2::bit_kernels()};
    case SimdLevel::avx2:
      return {&avx2::screen_kernels(), &avx2::byte_kernels(), &avx2::code_kernels(), &avx2::refine_kernels(),
              &avx2::bit_kernels()};
#endif
    default:
      return {&baseline::screen_kernels(), &baseline::byte_kernels(), &baseline::code_kernels(),
              &baseline::refine_kernels(), &baseline::bit_kernels()};
  }
}

namespace {

const ScreenKernels::Screen& screen_of(const ScreenKernels& kernels, Metric metric) {
  switch (metric) {
    case Metric::manhattan:
      return kernels.manhattan;
    case Metric::chebyshev:
      return kernels.chebyshev;
    case Metric::squared_euclidean:
    case Metric::cosine:
    case Metric::hamming:  // bits are never packed as floats
    case Metric::jaccard:
      break;
  }
  return kernels.product;
}

RefineKernels::Pair total_of(const RefineKernels& kernels, Metric metric, ElementType type) {
  const auto t = static_cast<std::size_t>(type);
  switch (metric) {
    case Metric::cosine:
      return kernels.dot[t];
    case Metric::manhattan:
      return kernels.absolute_difference[t];
    case Metric::chebyshev:
      return kernels.largest_difference[t];
    case Metric::squared_euclidean:
    case Metric::hamming:  // of bits, what they have in common is counted instead
    case Metric::jaccard:
      break;
  }
  return kernels.squared_difference[t];
}

}  // namespace

Frame::Frame(const MatrixView& sample, Metric metric, double scale, double largest, SimdLevel level)
    : kernels_(kernel_set(level)),
      metric_(metric),
      type_(sample.type),
      pair_screen_(&screen_of(*kernels_.screen, metric)),
      pair_total_(total_of(*kernels_.refine, metric, sample.type)),
      dimension_(sample.columns),
      scale_(scale),
      packing_scale_(packing_scale(metric, largest)),
      value_to_packed_(value_to_packed(metric, scale, packing_scale_)),
      centre_(static_cast<std::size_t>(sample.columns), 0.0),
      bound_(ScreenBound::of_floats(metric, sample.columns, value_to_packed_)),
      difference_bound_(DifferenceBound::of_floats(metric, sample.columns, value_to_packed_)) {
  // The mean of evenly spaced rows, in the coordinates that packing subtracts it in. Packing a row with
  // a zero centre is how elements of any type are read here; float32 is precise enough for a centre.
  const Index rows = std::min((sample.rows + 7) / 8, tuning::kCentreSample);
  if (rows == 0 || counts_bits(metric)) {
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
  if (counts_bits(metric_)) {
    return bit_value(static_cast<double>(kernels_.bits->common(x, y, dimension_)), x_dot_x, y_dot_y);
  }
  const double total = pair_total_(x, y, dimension_);
  return metric_ == Metric::cosine ? cosine_value(total, x_dot_x, y_dot_y, type_)
                                   : scaled_value(total, scale_, type_);
}

double Frame::row_multiplier(double row_self_dot) const {
  return metric_ == Metric::cosine ? 1.0 / std::sqrt(row_self_dot) : 1.0;
}

void Frame::pack_group(std::span<const std::byte* const> rows, std::span<const double> self_dots, float* out,
                       std::vector<float>& scratch, double* squared_norms) const {
  std::array<const float*, kMaxLanes> packed{};
  scratch.resize(static_cast<std::size_t>(group_floats()));
  for (std::size_t l = 0; l < static_cast<std::size_t>(lanes()); ++l) {
    float* row = scratch.data() + static_cast<Index>(l) * dimension_;
    if (l < rows.size()) {
      squared_norms[l] = pack_row(rows[l], self_dots[l], row);
    } else {
      std::fill_n(row, dimension_, 0.0F);
      squared_norms[l] = 0.0;
    }
    packed[l] = row;
  }
  kernels_.screen->interleave(packed.data(), dimension_, out);
}

double Frame::pack_row(const std::byte* row, double row_self_dot, float* out) const {
  return kernels_.screen->pack_row[static_cast<std::size_t>(type_)](
      row, dimension_, row_multiplier(row_self_dot), centre_.data(), packing_scale_, out);
}

Points::Points(const MatrixView& matrix, const Frame& frame, WorkMemory& memory, ThreadTeam& team,
               Control& control)
    : matrix_(matrix), frame_(&frame) {
  if (needs_self_dots(frame.metric())) {
    self_dots_ = WorkArray<double>(memory, matrix.rows, "the norm of each row", Counted::in_plan);
    team.for_each(matrix.rows, tuning::kRowsPerTask, control, [&](int, Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        self_dots_[static_cast<std::size_t>(i)] = frame.self_dot(matrix.row(i));
      }
    });
  }
}

}  // namespace farpoint::cpu
