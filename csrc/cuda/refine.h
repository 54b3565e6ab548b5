// Refinement: the canonical value of a pair, to the bit (core/contract.h), by half a warp. Device code.
//
//   lane l of 16     accumulator l: elements l, l + 16, ..., in rising order
//   halving          a[l] + a[l + 8], a[l] + a[l + 4], ... by shuffles: the contract's order
//
// Products and sums are __dmul_rn and __dadd_rn, which the compiler never fuses. Twin of cpu/refine.inl.
//
// Why half a warp: 16 accumulators are 16 chains of additions, and neighbouring lanes read neighbouring
// elements. Loads run kAhead steps before the sums that need them: a chain of additions hides little latency.
#pragma once

#include "core/contract.h"
#include "cuda/elements.h"
#include "cuda/rows.h"

namespace farpoint::cuda {

inline constexpr int kHalfWarp = 16;
// Loads of each row that are under way at a time.
inline constexpr int kLoadsAhead = 8;

struct SquaredDifference {
  __device__ static double term(double x, double y) {
    const double difference = __dsub_rn(x, y);
    return __dmul_rn(difference, difference);
  }
};
struct Product {
  __device__ static double term(double x, double y) { return __dmul_rn(x, y); }
};

// The lanes of this thread's half of its warp.
__device__ inline unsigned half_warp_mask() {
  return (threadIdx.x & 16U) == 0 ? 0x0000ffffU : 0xffff0000U;
}

// The contract's total, on every lane. All 16 lanes of the half-warp call it with the same rows.
template <class Term, class T, int kAhead>
__device__ inline double half_warp_total(const std::byte* x_bytes, const std::byte* y_bytes,
                                         Index dimension) {
  const auto* x = reinterpret_cast<const T*>(x_bytes);
  const auto* y = reinterpret_cast<const T*>(y_bytes);
  const unsigned mask = half_warp_mask();
  const auto lane = static_cast<Index>(threadIdx.x % kHalfWarp);
  constexpr Index kStep = kHalfWarp;
  double sum = 0.0;
  Index j = lane;
  for (; j + kStep * (kAhead - 1) < dimension; j += kStep * kAhead) {
    T xs[kAhead];
    T ys[kAhead];
#pragma unroll
    for (int s = 0; s < kAhead; ++s) {
      xs[s] = x[j + s * kStep];
      ys[s] = y[j + s * kStep];
    }
#pragma unroll
    for (int s = 0; s < kAhead; ++s) {
      sum = __dadd_rn(sum, Term::term(widen(xs[s]), widen(ys[s])));
    }
  }
  for (; j < dimension; j += kStep) {
    sum = __dadd_rn(sum, Term::term(widen(x[j]), widen(y[j])));
  }
  // After the step of width w lanes below w hold the sums of the contract; what the others hold is not used.
#pragma unroll
  for (int width = kHalfWarp / 2; width >= 1; width /= 2) {
    sum = __dadd_rn(sum, __shfl_down_sync(mask, sum, static_cast<unsigned>(width), kHalfWarp));
  }
  return __shfl_sync(mask, sum, 0, kHalfWarp);
}

// x.x, on every lane of the half-warp.
__device__ inline double self_dot(const Contract& contract, const std::byte* x) {
  return with_element_type(contract.type, [&](auto element) {
    return half_warp_total<Product, decltype(element), kLoadsAhead>(x, x, contract.dimension);
  });
}

// The canonical stored value, on every lane of the half-warp. The self products matter for cosine only.
template <int kAhead = kLoadsAhead>
__device__ inline double pair_value(const Contract& contract, const std::byte* x, double x_dot_x,
                                    const std::byte* y, double y_dot_y) {
  return with_element_type(contract.type, [&](auto element) {
    using T = decltype(element);
    if (contract.metric == Metric::cosine) {
      return cosine_value(half_warp_total<Product, T, kAhead>(x, y, contract.dimension), x_dot_x, y_dot_y,
                          contract.type);
    }
    return scaled_value(half_warp_total<SquaredDifference, T, kAhead>(x, y, contract.dimension),
                        contract.scale, contract.type);
  });
}

}  // namespace farpoint::cuda
