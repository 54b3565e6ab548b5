// The contract once more, as plainly as C++ allows: what the tests compare with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "core/contract.h"
#include "core/select.h"
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
double absolute(const T* x, const T* y, Index d) {
  return total(x, y, d, [](double a, double b) { return std::abs(a - b); });
}

template <class T>
double largest_difference(const T* x, const T* y, Index d) {
  double largest = 0;
  for (Index j = 0; j < d; ++j) {
    largest = std::max(largest, std::abs(static_cast<double>(x[j]) - static_cast<double>(y[j])));
  }
  return largest;
}

template <class T>
farpoint::ElementType type_of() {
  return sizeof(T) == 8 ? farpoint::ElementType::float64 : farpoint::ElementType::float32;
}

template <class T>
double value(const Matrix<T>& m, Index i, Index j) {
  return farpoint::scaled_value(squared(m.row(i), m.row(j), m.columns), 1.0, type_of<T>());
}

template <class T>
farpoint::SelectResult select(const Matrix<T>& m, Index k, Index first) {
  farpoint::SelectResult result;
  std::vector<double> values(static_cast<std::size_t>(m.rows), farpoint::kInfinity);
  std::vector<bool> free(values.size(), true);
  Index next = first;
  while (true) {
    const auto at = static_cast<std::size_t>(next);
    result.next_value = next < 0 ? 0.0 : values[at];
    if (next < 0 || static_cast<Index>(result.indices.size()) == k) {
      return result;
    }
    result.indices.push_back(next);
    result.values.push_back(values[at]);
    free[at] = false;
    Index best = -1;
    for (Index i = 0; i < m.rows; ++i) {
      double& value = values[static_cast<std::size_t>(i)];
      value = std::min(value, plain::value(m, i, next));
      if (free[static_cast<std::size_t>(i)] && (best < 0 || value > values[static_cast<std::size_t>(best)])) {
        best = i;
      }
    }
    next = best;
  }
}

}  // namespace plain
