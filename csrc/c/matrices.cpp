#include "c/matrices.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "c/boundary.h"
#include "c/elements.h"
#include "core/distances.h"
#include "core/errors.h"
#include "core/tuning.h"
#include "cpu/scan.h"

namespace farpoint::c {
namespace {

// float64 elements are used as they are while their squares, and the squares of their differences, stay far
// from float64's ends; beyond, a power of two is taken out first.
constexpr int kSafeExponent = 300;
constexpr int kSafeRowExponent = 200;
// Squared distances are scaled to stay below 2^127, just inside float32's range.
constexpr int kFloat32Exponent = 127;

const char* dtype_name(ElementType type) {
  constexpr const char* kNames[] = {"float16", "bfloat16", "float32", "float64", "int8", "uint8"};
  return kNames[static_cast<int>(type)];
}

ElementType check_dtype(farpoint_dtype dtype, const std::string& name) {
  if (dtype < FARPOINT_FLOAT16 || dtype > FARPOINT_UINT8) {
    refuse(name + ".dtype = " + std::to_string(dtype) +
           " is not one; they are the constants FARPOINT_FLOAT16 to FARPOINT_UINT8");
  }
  return static_cast<ElementType>(dtype - FARPOINT_FLOAT16);
}

// Whether all rows lie within what a pointer can reach.
bool is_addressable(Index rows, Index columns, Index stride, Index size) {
  constexpr Index kMost = std::numeric_limits<Index>::max() / 2;
  return columns <= kMost / size && std::abs(stride) <= (kMost - columns * size) / rows;
}

int exponent_of(double x) {
  int exponent = 0;
  std::frexp(x, &exponent);
  return exponent;
}

// Even e such that d (2 largest)^degree <= 2^127 * 2^e: values use the top of float32's range.
int value_exponent(double largest, Index dimension, int degree) {
  if (largest == 0.0) {
    return 0;
  }
  const auto bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(dimension - 1)));
  const int exponent = bits + degree * (1 + exponent_of(largest)) - kFloat32Exponent;
  return exponent + exponent % 2 * (exponent < 0 ? -1 : 1);
}

// A power of two that is taken out of extreme float64 data; exact, but for a copy.
struct Taming {
  bool wanted = false;
  bool by_row = false;  // each row is multiplied by what brings its largest element near 1
  int exponent = 0;     // of all rows otherwise
};

Taming taming_of(const Metric& metric, double largest, double smallest_row) {
  if (largest == 0.0) {
    return {};
  }
  const int exponent = exponent_of(largest);
  if (metric.kind() == farpoint::Metric::cosine) {
    // Directions do not change when a row is multiplied.
    return {std::max(exponent, -exponent_of(smallest_row)) > kSafeRowExponent, true, 0};
  }
  return {std::abs(exponent) > kSafeExponent, false, -exponent};
}

double largest_of(const double* row, Index columns) {
  double largest = 0.0;
  for (Index j = 0; j < columns; ++j) {
    largest = std::max(largest, std::abs(row[j]));
  }
  return largest;
}

std::unique_ptr<double[]> tamed(const MatrixView& matrix, const Taming& taming, Control& control) {
  const auto size = static_cast<std::size_t>(matrix.rows) * static_cast<std::size_t>(matrix.columns);
  std::unique_ptr<double[]> copy(new double[size]);
  double* out = copy.get();
  for (Index i = 0; i < matrix.rows; ++i, out += matrix.columns) {
    if (i % tuning::kRowsPerTask == 0 && control.poll()) {
      break;
    }
    const auto* row = reinterpret_cast<const double*>(matrix.row(i));
    const int exponent = taming.by_row ? -exponent_of(largest_of(row, matrix.columns)) : taming.exponent;
    for (Index j = 0; j < matrix.columns; ++j) {
      out[j] = std::ldexp(row[j], exponent);
    }
  }
  control.throw_if_stopped();
  return copy;
}

void check_scan(const Scan& found, const NamedMatrix& matrix, const Metric& metric) {
  if (found.first_bad_row >= 0) {
    const std::byte* row = matrix.view.row(found.first_bad_row);
    Index column = 0;
    while (std::isfinite(element(row, column, matrix.view.type))) {
      ++column;
    }
    const double bad = element(row, column, matrix.view.type);
    const char* infinite = bad > 0 ? "inf" : "-inf";
    refuse(matrix.name + " must be finite: row " + std::to_string(found.first_bad_row) + ", column " +
           std::to_string(column) + " is " + (std::isnan(bad) ? "NaN" : infinite) +
           "; drop or impute such rows");
  }
  if (found.first_zero_row >= 0 && metric.kind() == farpoint::Metric::cosine) {
    refuse(matrix.name + ": row " + std::to_string(found.first_zero_row) +
           " is all zeros, which has no cosine distance; drop such rows");
  }
}

// Of all matrices. Bits have nothing to look for.
Scan look_through(std::span<const NamedMatrix> matrices, const Metric& metric, const Run& run,
                  Control& control) {
  Scan all;
  if (metric.of_bits()) {
    all.largest = 1.0;
    return all;
  }
  for (const NamedMatrix& matrix : matrices) {
    const Scan found = cpu::scan(matrix.view, run.threads, run.level, control);
    check_scan(found, matrix, metric);
    all.largest = std::max(all.largest, found.largest);
    all.smallest_row = std::min(all.smallest_row, found.smallest_row);
  }
  return all;
}

}  // namespace

MatrixView check_matrix(const farpoint_matrix* given, const std::string& name, const Metric& metric) {
  if (given == nullptr) {
    refuse(name + " must be a matrix, not NULL");
  }
  if (given->rows < 1 || given->columns < 1) {
    refuse(name + " must have at least one row and one column, not " + std::to_string(given->rows) +
           " rows of " + std::to_string(given->columns) + " columns");
  }
  const ElementType type = check_dtype(given->dtype, name);
  if (metric.of_bits() && type != ElementType::uint8) {
    refuse(name + " has dtype " + dtype_name(type) +
           "; the metrics hamming and jaccard take packed bits, FARPOINT_UINT8");
  }
  const auto size = static_cast<Index>(element_size(type));
  const Index row_bytes =
      given->columns <= std::numeric_limits<Index>::max() / size ? given->columns * size : -1;
  const Index stride = given->row_stride == 0 ? row_bytes : given->row_stride;
  // The smallest integer has no absolute value.
  if (row_bytes < 0 || stride == std::numeric_limits<Index>::min() ||
      !is_addressable(given->rows, given->columns, stride, size)) {
    refuse(name + " is larger than memory can be: " + std::to_string(given->rows) + " rows of " +
           std::to_string(given->columns) + " columns of " + dtype_name(type));
  }
  if (given->data == nullptr) {
    refuse(name + ".data must not be NULL");
  }
  if (stride % size != 0) {
    refuse(name + ".row_stride = " + std::to_string(stride) + " must be a multiple of the size of " +
           dtype_name(type) + ", " + std::to_string(size) + " bytes");
  }
  if (std::bit_cast<std::uintptr_t>(given->data) % static_cast<std::uintptr_t>(size) != 0) {
    refuse(name + ".data must be aligned to the size of " + dtype_name(type) + ", " + std::to_string(size) +
           " bytes");
  }
  return {static_cast<const std::byte*>(given->data), given->rows, given->columns, stride, type};
}

void check_same_kind(const MatrixView& first, const std::string& first_name, const MatrixView& other,
                     const std::string& other_name) {
  if (first.columns != other.columns) {
    refuse(other_name + " has " + std::to_string(other.columns) + " columns where " + first_name + " has " +
           std::to_string(first.columns));
  }
  if (first.type != other.type) {
    refuse(other_name + " has dtype " + dtype_name(other.type) + " where " + first_name + " has " +
           dtype_name(first.type) + "; convert one of them");
  }
}

Frame make_frame(std::span<const NamedMatrix> matrices, const Metric& metric, const Run& run, Index held,
                 Control& control) {
  const Scan found = look_through(matrices, metric, run, control);
  const MatrixView& first = matrices.front().view;
  Frame frame;
  frame.largest = found.largest;
  frame.copied = held;
  frame.memory = run.memory;
  Taming taming;
  if (first.type == ElementType::float64) {
    taming = taming_of(metric, found.largest, found.smallest_row);
    if (taming.wanted) {
      frame.unit.exponent = -metric.degree() * taming.exponent;
      frame.largest = taming.by_row ? 1.0 : std::ldexp(found.largest, taming.exponent);
    }
  } else if (metric.degree() > 0) {
    frame.unit.exponent = value_exponent(found.largest, first.columns, metric.degree());
    frame.scale = std::ldexp(1.0, -frame.unit.exponent);
  }
  for (const NamedMatrix& matrix : matrices) {
    MatrixView& view = frame.matrices.emplace_back(matrix.view);
    if (taming.wanted) {
      const Index row_bytes = view.columns * static_cast<Index>(sizeof(double));
      frame.copied += view.rows * row_bytes;
      const auto& copy = frame.copies.emplace_back(tamed(view, taming, control));
      view.data = reinterpret_cast<const std::byte*>(copy.get());
      view.row_stride = row_bytes;
    }
  }
  if (run.memory.limit != cpu::MemoryOptions::kUnlimited) {
    frame.memory.limit = std::max<Index>(run.memory.limit - frame.copied, 0);
  }
  return frame;
}

std::string shape_text(const MatrixView& matrix) {
  return std::to_string(matrix.rows) + " rows of " + std::to_string(matrix.columns) + " columns";
}

}  // namespace farpoint::c
