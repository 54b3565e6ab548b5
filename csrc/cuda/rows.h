// Rows in device memory, and what a call says of all of them: plain structs, for the host and for kernels.
#pragma once

#include "core/types.h"
#include "cuda/platform.h"

namespace farpoint::cuda {

// What values are made of, for all matrices of a call.
struct Contract {
  Metric metric = Metric::squared_euclidean;
  ElementType type = ElementType::float32;
  Index dimension = 0;
  double scale = 1.0;
};

// Rows in device memory: evenly spaced, or each at an address of its own.
struct Rows {
  const std::byte* base = nullptr;
  std::ptrdiff_t stride = 0;
  const std::byte* const* pointers = nullptr;

  __device__ const std::byte* row(Index i) const {
    return pointers != nullptr ? pointers[i] : base + static_cast<std::ptrdiff_t>(i) * stride;
  }
};

// How rows are packed (core/bounds.h, step 2), as kernels see it:
//   y_j = float32((x_j * m - centre_j) * scale),  m = 1, or 1 / |x| for cosine.
struct Packing {
  Contract contract;
  double scale = 1.0;
  const double* centre = nullptr;
};

// What a screen knows of a packed row y, or of its code s q (core/bounds.h, step 6). 16 bytes.
struct alignas(16) RowNumbers {
  float norm = 0;          // at least |s q|
  float residual = 0;      // at least |y - s q|
  float squared_norm = 0;  // at most |y|^2
  float unused = 0;
};

}  // namespace farpoint::cuda
