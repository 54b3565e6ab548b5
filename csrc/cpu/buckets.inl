// Buckets of low-dimensional points: canonical values of a bucket against picks, and the lower bound that
// says which picks a bucket need not meet (core/contract.h; layouts in bucket_kernels.h).
//
//   value   for d <= 8 each element has an accumulator of its own, the other eight stay 0, and the
//           contract's halving order is  ((t0+t4) + (t2+t6)) + ((t1+t5) + (t3+t7)),  t_j = (x_j - y_j)^2.
//           Leaving out a term that is +0.0 changes no bit: every t_j is +0.0 or above.
//   bound   the same formula on g_j = max(lower_j - y_j, y_j - upper_j, 0), the gap to the box.
//
// The bound is never above the value, without any slack: for a point x of the box and lower_j > y_j the
// exact x_j - y_j >= lower_j - y_j > 0, and rounding is monotone, so fl(x_j - y_j) >= fl(lower_j - y_j);
// likewise above the box, and inside it g_j = 0. Squares of non-negative numbers, sums, the product with the
// positive scale and the last rounding are all monotone as computed, and both sides do the same ones in the
// same order. So a pick whose bound is at or above the largest value in the box changes nothing there. The
// bound is compared before the last rounding: if it is at or above a stored value, so is its rounding.
//
// The minimum over a list of picks is taken of the totals and then scaled and rounded once: both are
// monotone, so they commute with the minimum. Labels need the rounded values, for the first pick of equal
// ones wins; they have a loop of their own.
//
// Compiled with -ffp-contract=off. Why float64 throughout and no float32 screen as for many columns: see
// docs/decisions/0005-low-dimension.md.
//
// Included by buckets_<level>.cpp, which defines FARPOINT_LEVEL and FARPOINT_VECTOR_BYTES.

namespace farpoint::cpu::FARPOINT_LEVEL {
namespace {

#include "cpu/lanes.inl"

static_assert(kBucketLanes % kDoubles == 0);
constexpr int kBlockVectors = kBucketLanes / kDoubles;

typedef double Double4 __attribute__((vector_size(32)));
typedef float Float4 __attribute__((vector_size(16)));

template <class V>
inline V smaller(V a, V b) {
  return a < b ? a : b;
}
template <class V>
inline V larger(V a, V b) {
  return a > b ? a : b;
}

// The contract's sum of up to eight terms.
template <int D, class V>
inline V halving_total(const V (&t)[D]) {
  if constexpr (D == 1) {
    return t[0];
  } else if constexpr (D == 2) {
    return t[0] + t[1];
  } else {
    V a[4] = {t[0], t[1], t[2], t[D > 3 ? 3 : 0]};
    for (int l = 4; l < D; ++l) {
      a[l - 4] += t[l];
    }
    if constexpr (D == 3) {
      return (a[0] + a[2]) + a[1];
    } else {
      return (a[0] + a[2]) + (a[1] + a[3]);
    }
  }
}

template <class T>
struct ValueVector;
template <>
struct ValueVector<float> {
  typedef HalfFloatVector type;
};
template <>
struct ValueVector<double> {
  typedef DoubleVector type;
};

template <int D>
inline DoubleVector total(const DoubleVector (&x)[D], const double* pick) {
  DoubleVector t[D];
  for (int j = 0; j < D; ++j) {
    const DoubleVector difference = x[j] - pick[j];
    t[j] = difference * difference;
  }
  return halving_total<D>(t);
}

template <class T>
inline BucketBest<T> first_largest(const T* values, std::size_t slots, const T* lane_largest, int lanes) {
  T best = lane_largest[0];
  for (int l = 1; l < lanes; ++l) {
    best = lane_largest[l] > best ? lane_largest[l] : best;
  }
  std::size_t slot = 0;
  if constexpr (sizeof(T) == sizeof(float)) {
    constexpr std::uint32_t kAll = kFloats == 32 ? 0xffffffffU : (1U << kFloats) - 1;
    const FloatVector all_best = best - FloatVector{};
    for (; slot + kFloats <= slots; slot += kFloats) {
      const std::uint32_t found = ~greater_mask(all_best, load<FloatVector>(values + slot)) & kAll;
      if (found != 0) {
        return {best, static_cast<std::uint32_t>(slot) + static_cast<std::uint32_t>(__builtin_ctz(found))};
      }
    }
  }
  while (slot + 1 < slots && values[slot] != best) {
    ++slot;
  }
  return {best, static_cast<std::uint32_t>(slot)};
}

template <class T, int D>
BucketBest<T> update(const T* coordinates, T* values, std::size_t slots, const double* picks,
                     const PickNumber* list, std::size_t count, double scale) {
  using Values = ValueVector<T>::type;
  Values best[kBlockVectors];
  for (Values& of_lanes : best) {
    of_lanes = Values{} - T{1};  // taken: below every value
  }
  for (std::size_t s = 0; s < slots; s += kBucketLanes) {
    DoubleVector x[kBlockVectors][D];
    DoubleVector nearest[kBlockVectors];
    for (int v = 0; v < kBlockVectors; ++v) {
      for (int j = 0; j < D; ++j) {
        x[v][j] = load_doubles<T>(coordinates + static_cast<std::size_t>(j) * slots + s +
                                  static_cast<std::size_t>(v * kDoubles));
      }
      nearest[v] = __builtin_inf() - DoubleVector{};
    }
    for (std::size_t i = 0; i < count; ++i) {
      const double* pick = picks + static_cast<std::size_t>(list[i]) * D;
      for (int v = 0; v < kBlockVectors; ++v) {
        nearest[v] = smaller(total<D>(x[v], pick), nearest[v]);
      }
    }
    for (int v = 0; v < kBlockVectors; ++v) {
      T* at = values + s + static_cast<std::size_t>(v * kDoubles);
      const Values value = smaller(__builtin_convertvector(nearest[v] * scale, Values), load<Values>(at));
      store(at, value);
      best[v] = larger(value, best[v]);
    }
  }
  T lanes[kBucketLanes];
  for (int v = 0; v < kBlockVectors; ++v) {
    store(lanes + v * kDoubles, best[v]);
  }
  return first_largest<T>(values, slots, lanes, kBucketLanes);
}

template <class T, int D>
BucketBest<T> update_labels(const T* coordinates, T* values, PickNumber* labels, std::size_t slots,
                            const double* picks, const PickNumber* list, std::size_t count, double scale) {
  T lanes[kBucketLanes];
  for (T& lane : lanes) {
    lane = -1;
  }
  for (std::size_t s = 0; s < slots; s += kDoubles) {
    DoubleVector x[D];
    for (int j = 0; j < D; ++j) {
      x[j] = load_doubles<T>(coordinates + static_cast<std::size_t>(j) * slots + s);
    }
    for (std::size_t i = 0; i < count; ++i) {
      const DoubleVector found = total<D>(x, picks + static_cast<std::size_t>(list[i]) * D);
      for (int l = 0; l < kDoubles; ++l) {
        const auto value = static_cast<T>(found[l] * scale);
        T& old = values[s + static_cast<std::size_t>(l)];
        if (value < old) {
          old = value;
          labels[s + static_cast<std::size_t>(l)] = list[i];
        }
      }
    }
    for (int l = 0; l < kDoubles; ++l) {
      lanes[l] = larger(values[s + static_cast<std::size_t>(l)], lanes[l]);
    }
  }
  return first_largest<T>(values, slots, lanes, kBucketLanes);
}

inline Double4 load_four(const float* from) {
  return __builtin_convertvector(load<Float4>(from), Double4);
}
inline Double4 load_four(const double* from) {
  return load<Double4>(from);
}

// Bit c: a[c] < b[c].
inline unsigned less_mask(Double4 a, Double4 b) {
#if defined(__AVX__)
  return static_cast<unsigned>(_mm256_movemask_pd(
      _mm256_cmp_pd(reinterpret_cast<__m256d>(a), reinterpret_cast<__m256d>(b), _CMP_LT_OQ)));
#else
  unsigned mask = 0;
  for (int c = 0; c < kQuad; ++c) {
    mask |= static_cast<unsigned>(a[c] < b[c]) << c;
  }
  return mask;
#endif
}

template <class T, int D>
void filter(const T* boxes, const T* limits, const double* picks, const PickNumber* list, std::size_t count,
            double scale, PickNumber* const* out, std::size_t* counts) {
  Double4 lower[D];
  Double4 upper[D];
  for (int j = 0; j < D; ++j) {
    lower[j] = load_four(boxes + static_cast<std::ptrdiff_t>(j) * kQuad);
    upper[j] = load_four(boxes + static_cast<std::ptrdiff_t>(D + j) * kQuad);
  }
  const Double4 limit = load_four(limits);
  std::size_t n0 = 0;
  std::size_t n1 = 0;
  std::size_t n2 = 0;
  std::size_t n3 = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const PickNumber number = list[i];
    const double* pick = picks + static_cast<std::size_t>(number) * D;
    Double4 t[D];
    for (int j = 0; j < D; ++j) {
      const Double4 gap = larger(larger(lower[j] - pick[j], pick[j] - upper[j]), Double4{});
      t[j] = gap * gap;
    }
    const unsigned mask = less_mask(halving_total<D>(t) * scale, limit);
    out[0][n0] = number;
    out[1][n1] = number;
    out[2][n2] = number;
    out[3][n3] = number;
    n0 += mask & 1U;
    n1 += mask >> 1 & 1U;
    n2 += mask >> 2 & 1U;
    n3 += mask >> 3;
  }
  counts[0] = n0;
  counts[1] = n1;
  counts[2] = n2;
  counts[3] = n3;
}

template <class From, class T>
void widen_rows(const std::byte* rows, std::ptrdiff_t row_stride, std::int64_t count, std::int64_t d,
                std::byte* out, std::ptrdiff_t out_stride) {
  for (std::int64_t i = 0; i < count; ++i) {
    const auto* from = reinterpret_cast<const From*>(rows + i * row_stride);
    auto* to = reinterpret_cast<T*>(out + i * out_stride);
    for (std::int64_t j = 0; j < d; ++j) {
      to[j] = static_cast<T>(widen(from[j]));
    }
  }
}

template <class T>
constexpr BucketKernels<T> table() {
  BucketKernels<T> kernels = {
      {update<T, 1>, update<T, 2>, update<T, 3>, update<T, 4>, update<T, 5>, update<T, 6>, update<T, 7>,
       update<T, 8>},
      {update_labels<T, 1>, update_labels<T, 2>, update_labels<T, 3>, update_labels<T, 4>,
       update_labels<T, 5>, update_labels<T, 6>, update_labels<T, 7>, update_labels<T, 8>},
      {filter<T, 1>, filter<T, 2>, filter<T, 3>, filter<T, 4>, filter<T, 5>, filter<T, 6>, filter<T, 7>,
       filter<T, 8>},
      {}};
  if constexpr (sizeof(T) == sizeof(float)) {
    kernels.widen[0] = widen_rows<Float16, T>;
    kernels.widen[1] = widen_rows<BFloat16, T>;
    kernels.widen[2] = widen_rows<float, T>;
    kernels.widen[4] = widen_rows<std::int8_t, T>;
    kernels.widen[5] = widen_rows<std::uint8_t, T>;
  } else {
    kernels.widen[3] = widen_rows<double, T>;
  }
  return kernels;
}

}  // namespace

const BucketKernels<float>& bucket_kernels_float() {
  static constexpr BucketKernels<float> kernels = table<float>();
  return kernels;
}

const BucketKernels<double>& bucket_kernels_double() {
  static constexpr BucketKernels<double> kernels = table<double>();
  return kernels;
}

}  // namespace farpoint::cpu::FARPOINT_LEVEL
