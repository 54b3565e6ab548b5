// The contract once more, as plainly as C++ allows: what the tests compare with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "core/contract.h"
#include "core/types.h"

namespace plain {

using farpoint::Index;

template <class T>
struct Matrix {
  Matrix(Index n, Index d) : rows(n), columns(d), elements(static_cast<std::size_t>(n * d)) {}

  T* row(Index i) { return elements.data() + i * columns; }
  const T* row(Index i) const { return elements.data() + i * columns; }
  farpoint::MatrixView view(farpoint::ElementType type) const {
    return {reinterpret_cast<const std::byte*>(elements.data()), rows, columns,
            static_cast<std::ptrdiff_t>(columns * static_cast<Index>(sizeof(T))), type};
  }
  double largest() const {
    double result = 0;
    for (const T x : elements) {
      result = std::max(result, std::abs(static_cast<double>(x)));
    }
    return result;
  }

  Index rows;
  Index columns;
  std::vector<T> elements;
};

template <class T, class Term>
double total(const T* x, const T* y, Index d, Term term) {
  double sums[farpoint::kAccumulators] = {};
  for (Index j = 0; j < d; ++j) {
    sums[j % farpoint::kAccumulators] += term(static_cast<double>(x[j]), static_cast<double>(y[j]));
  }
  return farpoint::halving_sum(sums);
}

template <class T>
double squared(const T* x, const T* y, Index d) {
  return total(x, y, d, [](double a, double b) {
    const double difference = a - b;
    return difference * difference;
  });
}

template <class T>
double dot(const T* x, const T* y, Index d) {
  return total(x, y, d, [](double a, double b) { return a * b; });
}

template <class T>
farpoint::ElementType type_of() {
  return sizeof(T) == 8 ? farpoint::ElementType::float64 : farpoint::ElementType::float32;
}

}  // namespace plain
