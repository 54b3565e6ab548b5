#include "c/center.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "c/boundary.h"
#include "c/elements.h"
#include "core/contract.h"
#include "core/tuning.h"
#include "cpu/points.h"

namespace farpoint::c {
namespace {

// A sum of squares in the order of additions that numpy has for the sum of an array: halves of at most 128,
// each by eight accumulators.
// NOLINTNEXTLINE(misc-no-recursion): no deeper than there are bits in a size
double sum_of_squares(std::span<const double> x) {
  constexpr std::size_t kBlock = 128;
  constexpr std::size_t kLanes = 8;
  if (x.size() < kLanes) {
    double sum = 0.0;
    for (const double element : x) {
      sum += element * element;
    }
    return sum;
  }
  if (x.size() > kBlock) {
    std::size_t half = x.size() / 2;
    half -= half % kLanes;
    return sum_of_squares(x.first(half)) + sum_of_squares(x.subspan(half));
  }
  double a[kLanes];
  for (std::size_t l = 0; l < kLanes; ++l) {
    a[l] = x[l] * x[l];
  }
  std::size_t j = kLanes;
  for (; j + kLanes <= x.size(); j += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      a[l] += x[j + l] * x[j + l];
    }
  }
  double sum = ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
  for (; j < x.size(); ++j) {
    sum += x[j] * x[j];
  }
  return sum;
}

// Calls visit(row, its elements) for each row.
template <class Visit>
void for_each_row(const MatrixView& points, Control& control, const Visit& visit) {
  std::vector<double> row(static_cast<std::size_t>(points.columns));
  for (Index i = 0; i < points.rows; ++i) {
    if (i % tuning::kRowsPerTask == 0 && control.poll()) {
      break;
    }
    for (Index j = 0; j < points.columns; ++j) {
      row[static_cast<std::size_t>(j)] = element(points.row(i), j, points.type);
    }
    visit(i, std::span<double>(row));
  }
  control.throw_if_stopped();
}

// Summed in float64 row after row, so that it depends on nothing but the data; of directions for cosine.
std::vector<double> mean_of(const MatrixView& points, bool directions, Control& control) {
  std::vector<double> mean(static_cast<std::size_t>(points.columns), 0.0);
  for_each_row(points, control, [&](Index, std::span<double> row) {
    const double length = directions ? std::sqrt(sum_of_squares(row)) : 1.0;
    for (std::size_t j = 0; j < row.size(); ++j) {
      mean[j] += directions ? row[j] / length : row[j];
    }
  });
  for (double& element : mean) {
    element /= static_cast<double>(points.rows);
  }
  if (directions && std::ranges::all_of(mean, [](double element) { return element == 0.0; })) {
    refuse("FARPOINT_START_CENTER has no meaning: the directions of the rows cancel to zero");
  }
  return mean;
}

}  // namespace

Index center_row(const MatrixView& points, const Frame& frame, const Metric& metric, cpu::SimdLevel level,
                 const std::vector<bool>& may_be, Control& control) {
  if (metric.of_bits()) {
    refuse("FARPOINT_START_CENTER has no meaning for packed bits, which have no mean; start at a row");
  }
  const bool is_cosine = metric.kind() == farpoint::Metric::cosine;
  const std::vector<double> mean = mean_of(points, is_cosine, control);
  // The mean is float64 whatever the rows are: canonical totals of float64, rounded as the rows' values are.
  const cpu::RefineKernels& refine = *cpu::kernel_set(level).refine;
  constexpr auto kDouble = static_cast<std::size_t>(ElementType::float64);
  const auto total = [&](cpu::RefineKernels::Pair pair, std::span<const double> x) {
    return pair(reinterpret_cast<const std::byte*>(x.data()), reinterpret_cast<const std::byte*>(mean.data()),
                points.columns);
  };
  const auto self_dot = [&](std::span<const double> x) {
    const auto* bytes = reinterpret_cast<const std::byte*>(x.data());
    return refine.dot[kDouble](bytes, bytes, points.columns);
  };
  const auto value_of = [&](std::span<const double> x) {
    switch (metric.kind()) {
      case farpoint::Metric::cosine:
        return cosine_value(total(refine.dot[kDouble], x), self_dot(x), self_dot(mean), points.type);
      case farpoint::Metric::manhattan:
        return scaled_value(total(refine.absolute_difference[kDouble], x), frame.scale, points.type);
      case farpoint::Metric::chebyshev:
        return scaled_value(total(refine.largest_difference[kDouble], x), frame.scale, points.type);
      default:
        return scaled_value(total(refine.squared_difference[kDouble], x), frame.scale, points.type);
    }
  };
  Index best = -1;
  double best_value = kInfinity;
  for_each_row(points, control, [&](Index i, std::span<const double> row) {
    if (may_be[static_cast<std::size_t>(i)]) {
      const double value = value_of(row);
      if (best < 0 || value < best_value) {
        best = i;
        best_value = value;
      }
    }
  });
  return best;
}

}  // namespace farpoint::c
