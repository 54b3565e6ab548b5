#include "cuda/passes.h"

#include "core/hash.h"
#include "cuda/refine.h"

namespace farpoint::cuda {
namespace {

constexpr int kThreads = 256;

__device__ inline Index thread_number() {
  return static_cast<Index>(blockIdx.x) * kThreads + static_cast<Index>(threadIdx.x);
}
__device__ inline bool first_of_half_warp() {
  return threadIdx.x % kHalfWarp == 0;
}

__global__ void reset_kernel(RowState state, Index size) {
  const Index i = thread_number();
  if (i < size) {
    state.values[i] = kInfinity;
    state.progress[i] = 0;
    if (state.labels != nullptr) {
      state.labels[i] = 0;
    }
  }
}

__global__ void take_kernel(const Index* rows, Index count, RowState state, Index first_label) {
  const Index i = thread_number();
  if (i < count) {
    state.values[rows[i]] = kTaken;
    if (state.labels != nullptr && first_label >= 0) {
      state.labels[rows[i]] = static_cast<std::int32_t>(first_label + i);
    }
  }
}

__global__ void seed_kernel(Contract contract, Rows rows, Index begin, Index end, RowState state,
                            PickState picks) {
  const Index i = begin + thread_number() / kHalfWarp;
  if (i >= end || state.values[i] == kTaken) {
    return;  // the whole half-warp leaves
  }
  const double value =
      pair_value(contract, rows.row(i - begin), state.self_dot(i), picks.rows.row(0), picks.self_dot(0));
  __syncwarp(half_warp_mask());  // all lanes have read the value that is written now
  if (first_of_half_warp()) {
    state.values[i] = value;
    state.progress[i] = 1;
    if (state.labels != nullptr) {
      state.labels[i] = 0;
    }
  }
}

__global__ void sample_kernel(const double* values, Index size, Index sample, double* out) {
  const Index s = thread_number();
  if (s < sample) {
    const double place = static_cast<double>(s) + (sample == size ? 0.0 : unit_hash(s));
    const auto i = static_cast<Index>(place * static_cast<double>(size) / static_cast<double>(sample));
    out[s] = values[min(i, size - 1)];
  }
}

__global__ void seed_pairs_kernel(Contract contract, Rows rows, Index count, const double* self_dots,
                                  unsigned long long* best) {
  const Index i = thread_number() / kHalfWarp;
  if (i + 1 >= count) {
    return;
  }
  const bool cosine = self_dots != nullptr;
  const double value = pair_value(contract, rows.row(i), cosine ? self_dots[i] : 0.0, rows.row(i + 1),
                                  cosine ? self_dots[i + 1] : 0.0);
  if (first_of_half_warp()) {
    // Values are not negative: their bits are ordered as they are.
    atomicMin(best, static_cast<unsigned long long>(__double_as_longlong(value)));
  }
}

__global__ void point_kernel(const Index* indices, Index count, Rows rows, const double* self_dots,
                             const std::byte** pointers, double* self_dots_out) {
  const Index i = thread_number();
  if (i < count) {
    pointers[i] = rows.row(indices[i]);
    if (self_dots != nullptr) {
      self_dots_out[i] = self_dots[indices[i]];
    }
  }
}

__global__ void gather_kernel(const Index* indices, Index count, const double* values, double* out) {
  const Index i = thread_number();
  if (i < count) {
    out[i] = values[indices[i]];
  }
}

// One block a row.
__global__ void copy_kernel(Rows from, const Index* places, std::byte* to, Index row_bytes) {
  const auto i = static_cast<Index>(blockIdx.x);
  const std::byte* row = from.row(places != nullptr ? places[i] : i);
  for (Index b = threadIdx.x; b < row_bytes; b += kThreads) {
    to[i * row_bytes + b] = row[b];
  }
}

// Half a warp a pair: pairs of one row of x follow each other, so that it stays in the cache.
__global__ void all_pairs_kernel(Contract contract, Rows x, Index x_count, const double* x_self_dots, Rows y,
                                 Index y_count, const double* y_self_dots, double* out) {
  const Index pair = thread_number() / kHalfWarp;
  if (pair >= x_count * y_count) {
    return;
  }
  const Index i = pair / y_count;
  const Index j = pair % y_count;
  const bool cosine = x_self_dots != nullptr;
  const double value =
      pair_value(contract, x.row(i), cosine ? x_self_dots[i] : 0.0, y.row(j), cosine ? y_self_dots[j] : 0.0);
  if (first_of_half_warp()) {
    out[pair] = value;
  }
}

LaunchShape thread_each(Index count, const Device& device) {
  return {(count + kThreads - 1) / kThreads, kThreads, 0, device.stream()};
}
LaunchShape half_warp_each(Index count, const Device& device) {
  return thread_each(count * kHalfWarp, device);
}

}  // namespace

void reset(const RowState& state, Index size, const Device& device) {
  check(launch(reset_kernel, thread_each(size, device), state, size), "preparing rows");
}

void take_rows(const Index* rows, Index count, const RowState& state, Index first_label,
               const Device& device) {
  check(launch(take_kernel, thread_each(count, device), rows, count, state, first_label), "preparing rows");
}

void seed(const Contract& contract, Rows rows, Index begin, Index end, const RowState& state,
          const PickState& picks, const Device& device) {
  check(launch(seed_kernel, half_warp_each(end - begin, device), contract, rows, begin, end, state, picks),
        "computing distances to the first pick");
}

void sample_values(const double* values, Index size, Index sample, double* out, const Device& device) {
  check(launch(sample_kernel, thread_each(sample, device), values, size, sample, out), "sampling values");
}

void seed_pairs(const Contract& contract, Rows rows, Index count, const double* self_dots,
                unsigned long long* best, const Device& device) {
  check(launch(seed_pairs_kernel, half_warp_each(count, device), contract, rows, count, self_dots, best),
        "looking at neighbouring rows");
}

void point_at_rows(const Index* indices, Index count, Rows rows, const double* self_dots,
                   const std::byte** pointers, double* self_dots_out, const Device& device) {
  check(launch(point_kernel, thread_each(count, device), indices, count, rows, self_dots, pointers,
               self_dots_out),
        "listing picks");
}

void gather_values(const Index* indices, Index count, const double* values, double* out,
                   const Device& device) {
  check(launch(gather_kernel, thread_each(count, device), indices, count, values, out), "gathering values");
}

void copy_rows(Rows from, const Index* places, Index count, std::byte* to, Index row_bytes,
               const Device& device) {
  check(launch(copy_kernel, {count, kThreads, 0, device.stream()}, from, places, to, row_bytes),
        "copying rows");
}

void all_pairs(const Contract& contract, Rows x, Index x_count, const double* x_self_dots, Rows y,
               Index y_count, const double* y_self_dots, double* out, const Device& device) {
  check(launch(all_pairs_kernel, half_warp_each(x_count * y_count, device), contract, x, x_count, x_self_dots,
               y, y_count, y_self_dots, out),
        "computing distances");
}

}  // namespace farpoint::cuda
