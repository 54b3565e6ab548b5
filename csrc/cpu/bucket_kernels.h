// The inner loops of the buckets, as tables of functions, one table a SIMD level. No intrinsics here; the
// code is in buckets.inl, compiled once a level by buckets_<level>.cpp.
//
// T is what coordinates and stored values are kept in: float for every element type but float64 (each of
// their elements is a float32, and so is their stored value), double for float64. Arithmetic is float64.
//
// Layout. A bucket has a multiple of kBucketLanes slots; coordinate j of slot s is at
// coordinates[j * slots + s], its value at values[s]. Unused slots hold a copy of a point and kTaken. Picks
// are d doubles each, in the order in which they were made; a list names some of them, rising. A box quad is
// the bounding boxes of four children: the lower end of child c in dimension j at boxes[j * 4 + c], the upper
// ends after them at boxes[(d + j) * 4 + c].
#pragma once

#include <cstddef>
#include <cstdint>

namespace farpoint::cpu {

inline constexpr int kBucketMaxDimension = 8;
inline constexpr int kBucketLanes = 8;
inline constexpr int kQuad = 4;

// The number of a pick among all that points are compared with.
using PickNumber = std::uint32_t;

template <class T>
struct BucketBest {
  T value;
  std::uint32_t slot;  // the first slot of the bucket with that value
};

template <class T>
struct BucketKernels {
  // values[s] = min(values[s], canonical value of slot s and each listed pick); what is then largest.
  using Update = BucketBest<T> (*)(const T* coordinates, T* values, std::size_t slots, const double* picks,
                                   const PickNumber* list, std::size_t count, double scale);
  Update update[kBucketMaxDimension];

  // The same, and labels[s] = the first listed pick that gave the value.
  using UpdateLabels = BucketBest<T> (*)(const T* coordinates, T* values, PickNumber* labels,
                                         std::size_t slots, const double* picks, const PickNumber* list,
                                         std::size_t count, double scale);
  UpdateLabels update_labels[kBucketMaxDimension];

  // out[c] gets the listed picks that may change something in child c of a quad: those whose lower bound
  // is below limits[c]. counts[c] is how many.
  using Filter = void (*)(const T* boxes, const T* limits, const double* picks, const PickNumber* list,
                          std::size_t count, double scale, PickNumber* const* out, std::size_t* counts);
  Filter filter[kBucketMaxDimension];

  // d elements a row, `row_stride` bytes apart, exactly, to rows of T `out_stride` bytes apart. Indexed by
  // ElementType; float64 is there for double only, and the others for float only.
  using Widen = void (*)(const std::byte* rows, std::ptrdiff_t row_stride, std::int64_t count, std::int64_t d,
                         std::byte* out, std::ptrdiff_t out_stride);
  Widen widen[6];
};

namespace baseline {
const BucketKernels<float>& bucket_kernels_float();
const BucketKernels<double>& bucket_kernels_double();
}  // namespace baseline

namespace avx2 {
const BucketKernels<float>& bucket_kernels_float();
const BucketKernels<double>& bucket_kernels_double();
}  // namespace avx2

namespace avx512 {
const BucketKernels<float>& bucket_kernels_float();
const BucketKernels<double>& bucket_kernels_double();
}  // namespace avx512

}  // namespace farpoint::cpu
