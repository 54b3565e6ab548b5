// The screen's certificate for packed bits: when may a (row, pick) pair be skipped?
//
// The screen knows the pair exactly: a and b bits are set in the two rows, I in both (all of them whole
// numbers below 2^50). What is saved is a division a pair, and all of a pair whose counts decide already. The
// test is one comparison: skip when
//     I <= factor * b + bias,    factor and bias of the row and its value v alone.
// Claim: a pair that is skipped has a canonical value (core/contract.h) of at least v.
//
//  hamming. The canonical value h = a + b - 2 I is exact and whole, so h < v exactly when h < V = ceil(v):
//     when 2 I > a + b - V. With factor = 1/2 and bias = (a - V) / 2 both sides of the test are multiples of
//     1/2 below 2^52: nothing is rounded and the test is exact.
//  jaccard. The canonical value is fl(1 - fl(q)), q = I / (a + b - I). Let p = 1 - v, for v <= 1, and
//     f = p / (1 + p). In real numbers q <= p exactly when I <= f (a + b). The test uses factor = f (1 - e)
//     and bias = factor * a with e = 2^-48. Roundings: 1 - v one, f three, the products and their sum three
//     (fused or not), each at most u = 2^-53 relative, for all terms are of one sign; together below 2^-50.
//     So a pair that is skipped has I <= f (a + b)(1 - e'), e' >= 2^-49, hence
//     I <= p (a + b - I) - e' p (a + b), and, a + b - I being at most a + b and positive, q <= p (1 - e').
//     Then fl(q) <= q (1 + u) <= p, and 1 - fl(q) >= 1 - p = v. v is a float64, so rounding, which is
//     monotone, cannot go below it.
//     A pair that ties with v may pass the test, but for v = 1, where both sides are 0: that ties of rows
//     without a common bit are skipped matters, for in sparse data they are most.
//     A row without bits (a = 0) is at 0 from others without, at 1 from all else: factor 1, bias -1/2.
//  both. No distance is below 0: v <= 0 never survives. Values above all distances, infinity among them, do
//     so always.
//
// Counts. I is at most min(a, b): a pair with min(a, b) <= factor * b + bias is skipped unseen. That is
// jaccard >= 1 - min(a, b) / max(a, b) and hamming >= |a - b|, by the same test.
#pragma once

#include <cmath>

#include "core/types.h"

namespace farpoint {

// What the test takes of a row.
struct BitBound {
  double factor = 0;
  double bias = kInfinity;  // nothing survives
};

// `bits`: how many are set in the row. `value`: its distance so far, or a little more.
inline BitBound bit_bound(Metric metric, double bits, double value) {
  constexpr BitBound kAll{0.0, -1.0};
  if (value <= 0.0) {
    return {};
  }
  if (metric == Metric::hamming) {
    return value == kInfinity ? kAll : BitBound{0.5, 0.5 * (bits - std::ceil(value))};
  }
  if (value > 1.0) {
    return kAll;
  }
  if (bits == 0.0) {
    return {1.0, -0.5};
  }
  const double p = 1.0 - value;
  const double factor = p / (1.0 + p) * (1.0 - 0x1p-48);
  return {factor, factor * bits};
}

}  // namespace farpoint
