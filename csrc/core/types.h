// What a problem is made of: a borrowed matrix, its element type, and the metric.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

// What kernels of a GPU share with the host.
#if defined(__CUDACC__)
#define FARPOINT_HOST_DEVICE __host__ __device__
#else
#define FARPOINT_HOST_DEVICE
#endif

namespace farpoint {

// Rows, columns, picks and their products are 64-bit everywhere: n x d passes 2^31.
using Index = std::int64_t;

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

enum class ElementType : int { float16, bfloat16, float32, float64, int8, uint8 };
inline constexpr int kElementTypes = 6;

FARPOINT_HOST_DEVICE constexpr std::size_t element_size(ElementType type) {
  switch (type) {
    case ElementType::float16:
    case ElementType::bfloat16:
      return 2;
    case ElementType::float32:
      return 4;
    case ElementType::float64:
      return 8;
    case ElementType::int8:
    case ElementType::uint8:
      return 1;
  }
  return 0;
}

// What the engine minimises. "euclidean" and "sqeuclidean" of the Python interface are the same
// squared distances here; the square root is taken once, on the way out.
enum class Metric { squared_euclidean, cosine, manhattan, chebyshev, hamming, jaccard };

// Metrics of packed bits: rows are uint8, a column is eight bits.
FARPOINT_HOST_DEVICE constexpr bool counts_bits(Metric metric) {
  return metric == Metric::hamming || metric == Metric::jaccard;
}
// Whether a distance needs the product of each row with itself: x.x, of bits how many are set.
FARPOINT_HOST_DEVICE constexpr bool needs_self_dots(Metric metric) {
  return metric == Metric::cosine || counts_bits(metric);
}

// Some rows of a matrix that lies in several pieces.
struct MatrixPart {
  const std::byte* data = nullptr;
  Index first_row = 0;  // of these rows, in the whole matrix
  std::ptrdiff_t row_stride = 0;
};

// A borrowed (rows, columns) matrix. The elements of a row are contiguous; rows are `row_stride`
// bytes apart, so that C-ordered arrays, slices of rows and memory maps are read where they lie. A matrix
// in several pieces, such as files, has `parts` instead of `data` and `row_stride`: in rising order, the
// first at row 0, every one with rows.
struct MatrixView {
  const std::byte* data = nullptr;
  Index rows = 0;
  Index columns = 0;
  std::ptrdiff_t row_stride = 0;
  ElementType type = ElementType::float32;
  // GCC warns where the others alone are given, unless there is an initializer.
  std::span<const MatrixPart> parts = {};  // NOLINT(readability-redundant-member-init)

  const std::byte* row(Index i) const {
    if (parts.empty()) [[likely]] {
      return data + static_cast<std::ptrdiff_t>(i) * row_stride;
    }
    const MatrixPart& part = *part_of(i);
    return part.data + static_cast<std::ptrdiff_t>(i - part.first_row) * part.row_stride;
  }

  // Calls visit(begin, end, row_stride) for rows begin to end, as often as they are not evenly spaced.
  template <class Visit>
  void for_each_run(Index begin, Index end, const Visit& visit) const {
    if (parts.empty()) {
      visit(begin, end, row_stride);
      return;
    }
    for (auto part = part_of(begin); begin < end; ++part) {
      const Index next = part + 1 == parts.end() ? rows : (part + 1)->first_row;
      visit(begin, std::min(end, next), part->row_stride);
      begin = next;
    }
  }

 private:
  std::span<const MatrixPart>::iterator part_of(Index i) const {
    const auto next = std::ranges::upper_bound(parts, i, {}, &MatrixPart::first_row);
    return next - 1;
  }
};

}  // namespace farpoint
