// Refinement: the canonical distance of a pair, to the bit (core/contract.h).
//
//   squared_difference    sum (x_j - y_j)^2     dot                   sum x_j y_j
//   absolute_difference   sum |x_j - y_j|       largest_difference    max |x_j - y_j|
//
// 16 float64 accumulators, element j in accumulator j mod 16; V vectors of kDoubles hold them, so the
// order of additions into each accumulator is the contract's whatever the width. Compiled with
// -ffp-contract=off: a fused multiply-add would round once where the contract rounds twice.
//
// Why float64 and why so few: about ten pairs a point survive the screen, so this costs little beside it,
// and sums this accurate make ties real ties. Cost: d additions in a chain of d / 16.
//
// Included by refine_<level>.cpp, which defines FARPOINT_LEVEL and FARPOINT_VECTOR_BYTES.

namespace farpoint::cpu::FARPOINT_LEVEL {
namespace {

#include "cpu/lanes.inl"

constexpr int kAccumulators = 16;
constexpr int kVectors = kAccumulators / kDoubles;

struct SquaredDifference {
  template <class V>
  static V term(V x, V y) {
    const V difference = x - y;
    return difference * difference;
  }
};
struct Product {
  template <class V>
  static V term(V x, V y) {
    return x * y;
  }
};

struct AbsoluteDifference {
  template <class V>
  static V term(V x, V y) {
    const V difference = x - y;
    return difference < 0 ? -difference : difference;
  }
};

template <class Term, class T>
double accumulate(const std::byte* x_bytes, const std::byte* y_bytes, std::int64_t d) {
  const auto* x = reinterpret_cast<const T*>(x_bytes);
  const auto* y = reinterpret_cast<const T*>(y_bytes);
  DoubleVector sums[kVectors] = {};
  std::int64_t j = 0;
  for (; j + kAccumulators <= d; j += kAccumulators) {
    for (int v = 0; v < kVectors; ++v) {
      sums[v] += Term::term(load_doubles<T>(x + j + v * kDoubles), load_doubles<T>(y + j + v * kDoubles));
    }
  }
  double a[kAccumulators];
  for (int v = 0; v < kVectors; ++v) {
    store(a + static_cast<std::ptrdiff_t>(v) * kDoubles, sums[v]);
  }
  for (int lane = 0; j < d; ++j, ++lane) {
    a[lane] += Term::term(static_cast<double>(widen(x[j])), static_cast<double>(widen(y[j])));
  }
  for (int width = kAccumulators / 2; width >= 1; width /= 2) {
    for (int lane = 0; lane < width; ++lane) {
      a[lane] += a[lane + width];
    }
  }
  return a[0];
}

// A maximum is the same in any order. Two vectors, so that one waits less for the other.
template <class T>
double largest_difference(const std::byte* x_bytes, const std::byte* y_bytes, std::int64_t d) {
  const auto* x = reinterpret_cast<const T*>(x_bytes);
  const auto* y = reinterpret_cast<const T*>(y_bytes);
  constexpr std::int64_t kStep = std::int64_t{2} * kDoubles;
  DoubleVector largest[2] = {};
  std::int64_t j = 0;
  for (; j + kStep <= d; j += kStep) {
    for (int v = 0; v < 2; ++v) {
      const DoubleVector magnitude = AbsoluteDifference::term(load_doubles<T>(x + j + v * kDoubles),
                                                              load_doubles<T>(y + j + v * kDoubles));
      largest[v] = magnitude > largest[v] ? magnitude : largest[v];
    }
  }
  largest[0] = largest[1] > largest[0] ? largest[1] : largest[0];
  double result = 0;
  for (int l = 0; l < kDoubles; ++l) {
    result = largest[0][l] > result ? largest[0][l] : result;
  }
  for (; j < d; ++j) {
    const double magnitude =
        AbsoluteDifference::term(static_cast<double>(widen(x[j])), static_cast<double>(widen(y[j])));
    result = magnitude > result ? magnitude : result;
  }
  return result;
}

// x * 0 is 0 exactly when x is finite, and NaN otherwise, which poisons the sum.
template <class T>
double largest_magnitude(const std::byte* x_bytes, std::int64_t d) {
  const auto* x = reinterpret_cast<const T*>(x_bytes);
  DoubleVector largest = {};
  DoubleVector poison = {};
  std::int64_t j = 0;
  for (; j + kDoubles <= d; j += kDoubles) {
    const DoubleVector v = load_doubles<T>(x + j);
    const DoubleVector magnitude = v < 0 ? -v : v;
    largest = magnitude > largest ? magnitude : largest;
    poison += v * 0.0;
  }
  double result = 0;
  double poisoned = 0;
  for (int l = 0; l < kDoubles; ++l) {
    result = largest[l] > result ? largest[l] : result;
    poisoned += poison[l];
  }
  for (; j < d; ++j) {
    const auto v = static_cast<double>(widen(x[j]));
    const double magnitude = v < 0 ? -v : v;
    result = magnitude > result ? magnitude : result;
    poisoned += v * 0.0;
  }
  return result + poisoned;
}

}  // namespace

const RefineKernels& refine_kernels() {
  static constexpr RefineKernels kernels = {
      {accumulate<SquaredDifference, Float16>, accumulate<SquaredDifference, BFloat16>,
       accumulate<SquaredDifference, float>, accumulate<SquaredDifference, double>,
       accumulate<SquaredDifference, std::int8_t>, accumulate<SquaredDifference, std::uint8_t>},
      {accumulate<Product, Float16>, accumulate<Product, BFloat16>, accumulate<Product, float>,
       accumulate<Product, double>, accumulate<Product, std::int8_t>, accumulate<Product, std::uint8_t>},
      {accumulate<AbsoluteDifference, Float16>, accumulate<AbsoluteDifference, BFloat16>,
       accumulate<AbsoluteDifference, float>, accumulate<AbsoluteDifference, double>,
       accumulate<AbsoluteDifference, std::int8_t>, accumulate<AbsoluteDifference, std::uint8_t>},
      {largest_difference<Float16>, largest_difference<BFloat16>, largest_difference<float>,
       largest_difference<double>, largest_difference<std::int8_t>, largest_difference<std::uint8_t>},
      {largest_magnitude<Float16>, largest_magnitude<BFloat16>, largest_magnitude<float>,
       largest_magnitude<double>, largest_magnitude<std::int8_t>, largest_magnitude<std::uint8_t>},
  };
  return kernels;
}

}  // namespace farpoint::cpu::FARPOINT_LEVEL
