// Passes over all rows, or over all of a short list: one thread or half a warp an entry, no product.
#pragma once

#include "cuda/device.h"
#include "cuda/state.h"

namespace farpoint::cuda {

// values = kInfinity, progress = 0, labels (if any) = 0.
void reset(const RowState& state, Index size, const Device& device);
// Row rows[i] is taken, for i < count. Its label, if there are any, becomes first_label + i; -1: stays.
void take_rows(const Index* rows, Index count, const RowState& state, Index first_label,
               const Device& device);
// Rows begin .. end - 1 that are not taken against entry 0 of the pick list: value, progress 1, label 0.
// rows.row(i - begin) is row i.
void seed(const Contract& contract, Rows rows, Index begin, Index end, const RowState& state,
          const PickState& picks, const Device& device);
// out[s] = the value of the s-th of `sample` rows spread over all.
void sample_values(const double* values, Index size, Index sample, double* out, const Device& device);
// Lowers *best (bits of a float64) to the least value of rows i and i + 1, for all of them.
void seed_pairs(const Contract& contract, Rows rows, Index count, const double* self_dots,
                unsigned long long* best, const Device& device);
// pointers[i] = where row indices[i] lies, and self_dots_out[i] = self_dots[indices[i]] if there are any.
void point_at_rows(const Index* indices, Index count, Rows rows, const double* self_dots,
                   const std::byte** pointers, double* self_dots_out, const Device& device);
// out[i] = values[indices[i]].
void gather_values(const Index* indices, Index count, const double* values, double* out,
                   const Device& device);
// Copies row places[i] of `from` (null: row i) to row i of `to`, `row_bytes` each.
void copy_rows(Rows from, const Index* places, Index count, std::byte* to, Index row_bytes,
               const Device& device);
// out[i * columns + j] = the canonical value of row i of x and row j of y.
void all_pairs(const Contract& contract, Rows x, Index x_count, const double* x_self_dots, Rows y,
               Index y_count, const double* y_self_dots, double* out, const Device& device);

}  // namespace farpoint::cuda
