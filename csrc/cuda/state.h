// What the kernels of a selection work on, as they see it.
#pragma once

#include "core/threshold.h"
#include "cuda/rows.h"

namespace farpoint::cuda {

// A row that was picked or is in `selected`: below every distance, so that no threshold admits it.
inline constexpr double kTaken = -1.0;

// Per row of the matrix.
struct RowState {
  double* values = nullptr;           // an upper bound; exact against the row's first `progress` picks
  std::int32_t* progress = nullptr;   // entries of the pick list that the row has seen
  std::int32_t* labels = nullptr;     // null unless asked for: entry of the pick list that gave the value
  const double* self_dots = nullptr;  // null but for cosine

  __device__ double self_dot(Index i) const { return self_dots != nullptr ? self_dots[i] : 0.0; }
};

// Entries of the pick list.
struct PickState {
  Index count = 0;
  Rows rows;                          // raw elements
  const double* self_dots = nullptr;  // null but for cosine

  __device__ double self_dot(Index i) const { return self_dots != nullptr ? self_dots[i] : 0.0; }
};

// Listed rows: their numbers, and their raw elements, found by number or (staged) by place in the list.
struct ListedRows {
  Index count = 0;
  const Index* indices = nullptr;
  Rows rows;
  bool by_place = false;

  __device__ const std::byte* row(Index index, Index place) const {
    return rows.row(by_place ? place : index);
  }
};

struct ScreenCounts {
  unsigned long long screened = 0;  // lower bounds computed
  unsigned long long refined = 0;   // canonical distances computed
  unsigned long long improved = 0;  // those that lowered a value

  FARPOINT_HOST_DEVICE ScreenCounts& operator+=(const ScreenCounts& other) {
    screened += other.screened;
    refined += other.refined;
    improved += other.improved;
    return *this;
  }
};

}  // namespace farpoint::cuda
