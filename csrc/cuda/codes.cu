#include "cuda/codes.h"

#include <algorithm>

#include "core/tuning.h"
#include "cuda/elements.h"

namespace farpoint::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kThreads = 256;

__device__ inline double row_multiplier(const Packing& packing, const double* row_dots, Index i) {
  return packing.contract.metric == Metric::cosine ? 1.0 / sqrt(row_dots[i]) : 1.0;
}

template <class T>
__device__ inline float packed_element(const Packing& packing, const std::byte* row, Index j,
                                       double multiplier) {
  const double x = widen(reinterpret_cast<const T*>(row)[j]);
  return static_cast<float>((x * multiplier - packing.centre[j]) * packing.scale);
}

__device__ inline double warp_sum(double x) {
#pragma unroll
  for (int width = kWarp / 2; width >= 1; width /= 2) {
    x += __shfl_xor_sync(0xffffffffU, x, width);
  }
  return x;
}

__device__ inline float warp_max(float x) {
#pragma unroll
  for (int width = kWarp / 2; width >= 1; width /= 2) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffU, x, width));
  }
  return x;
}

__device__ inline float round_up(double x) {
  return static_cast<float>(x * (1.0 + 0x1p-20) + 0x1p-140);
}

// |y|^2 summed in float64 errs by less than 2^-23 of it, rounding included: below the true one.
__device__ inline float round_down_norm(double squared) {
  return static_cast<float>(squared * (1.0 - 0x1p-22));
}

// The kernels below: one warp a row. Returns the row, or -1 beyond the last; then the whole warp leaves.
__device__ inline Index row_of_warp(Index count) {
  const Index i = (static_cast<Index>(blockIdx.x) * kThreads + static_cast<Index>(threadIdx.x)) / kWarp;
  return i < count ? i : -1;
}

// out[s] = the largest |y_j| of row s * step.
__global__ void magnitude_kernel(Packing packing, Rows rows, Index count, Index step, const double* row_dots,
                                 float* out) {
  const Index s = row_of_warp(count);
  if (s < 0) {
    return;
  }
  const std::byte* row = rows.row(s * step);
  const double multiplier = row_multiplier(packing, row_dots, s * step);
  float largest = with_element_type(packing.contract.type, [&](auto element) {
    float found = 0;
    for (Index j = threadIdx.x % kWarp; j < packing.contract.dimension; j += kWarp) {
      found = fmaxf(found, fabsf(packed_element<decltype(element)>(packing, row, j, multiplier)));
    }
    return found;
  });
  largest = warp_max(largest);
  if (threadIdx.x % kWarp == 0) {
    out[s] = largest;
  }
}

// A lane codes four neighbouring columns at a time and writes them as one word.
__global__ void code_kernel(Packing packing, Rows rows, Index count, const double* row_dots, float scale,
                            Index padded_columns, CodeStore store) {
  const Index i = row_of_warp(count);
  if (i < 0) {
    return;
  }
  const Index entry = store.first + i;
  const std::byte* row = rows.row(i);
  const double multiplier = row_multiplier(packing, row_dots, i);
  const Index dimension = packing.contract.dimension;
  const float inverse = 1.0F / scale;
  double coded_squares = 0;
  double rest_squares = 0;
  double squares = 0;
  with_element_type(packing.contract.type, [&](auto element) {
    for (Index first = 4 * static_cast<Index>(threadIdx.x % kWarp); first < padded_columns;
         first += Index{4} * kWarp) {
      std::uint32_t word = 0;
      for (int b = 0; b < 4; ++b) {
        const Index j = first + b;
        if (j < dimension) {
          const float y = packed_element<decltype(element)>(packing, row, j, multiplier);
          // Whatever whole number in [-127, 127] this is: the rest is measured. NaN cannot come here.
          const float limited = fminf(fmaxf(y * inverse, -127.0F), 127.0F);
          const int q = __float2int_rn(limited);
          const double coded = static_cast<double>(scale) * q;
          const double rest = static_cast<double>(y) - coded;
          coded_squares += coded * coded;
          rest_squares += rest * rest;
          squares += static_cast<double>(y) * static_cast<double>(y);
          word |= (static_cast<std::uint32_t>(q) & 255U) << (8 * b);
        }
      }
      *reinterpret_cast<std::uint32_t*>(store.codes + entry * padded_columns + first) = word;
    }
    return 0;
  });
  coded_squares = warp_sum(coded_squares);
  rest_squares = warp_sum(rest_squares);
  squares = warp_sum(squares);
  if (threadIdx.x % kWarp == 0) {
    const float norm = round_up(sqrt(coded_squares));
    const float residual = round_up(sqrt(rest_squares));
    store.numbers[entry] = {norm, residual, round_down_norm(squares), 0.0F};
    // Rounding up: two roundings of 2^-24 each.
    const float reach = (norm + residual) * (1.0F + 0x1p-20F);
    atomicMax(store.reaches + entry / kMostTilePicks, __float_as_uint(reach));
  }
}

// Row number `number`, at `place`, or the places 0, 1, ... themselves where there is no list.
__global__ void pack_kernel(Packing packing, ListedRows listed, const double* row_dots, Index padded_columns,
                            float* packed, RowNumbers* numbers) {
  const Index i = row_of_warp(listed.count);
  if (i < 0) {
    return;
  }
  const Index number = listed.indices != nullptr ? listed.indices[i] : i;
  const std::byte* row = listed.row(number, i);
  const double multiplier = row_multiplier(packing, row_dots, number);
  double squares = 0;
  with_element_type(packing.contract.type, [&](auto element) {
    for (Index j = threadIdx.x % kWarp; j < padded_columns; j += kWarp) {
      const float y = j < packing.contract.dimension
                          ? packed_element<decltype(element)>(packing, row, j, multiplier)
                          : 0.0F;
      squares += static_cast<double>(y) * static_cast<double>(y);
      packed[i * padded_columns + j] = y;
    }
    return 0;
  });
  squares = warp_sum(squares);
  if (threadIdx.x % kWarp == 0) {
    numbers[i] = {0.0F, 0.0F, round_down_norm(squares), 0.0F};
  }
}

LaunchShape warp_a_row(Index count, const Device& device) {
  return {(count * kWarp + kThreads - 1) / kThreads, kThreads, 0, device.stream()};
}

}  // namespace

float choose_code_scale(Points& points, Control& control) {
  // Where the matrix is staged the sample is its first chunk: a poor sample costs survivors, never a result.
  const Device& device = points.device();
  const auto [rows, there] = points.some_rows(control);
  const Index sample = std::min(there, tuning::kScaleSample);
  Buffer<float> magnitudes(sample);
  check(launch(magnitude_kernel, warp_a_row(sample, device), points.frame().packing(), rows, sample,
               there / sample, points.self_dots(), magnitudes.data()),
        "sampling magnitudes");
  std::vector<float> found(static_cast<std::size_t>(sample));
  read(device, std::span(found), magnitudes.data(), control);
  const auto place =
      found.begin() + static_cast<std::ptrdiff_t>(tuning::kScaleQuantile * static_cast<double>(sample - 1));
  std::nth_element(found.begin(), place, found.end());
  // Below the smallest normal number quotients would lose their precision; such rows are coded as 0.
  const float scale = *place / 127.0F;
  return scale < 0x1p-126F ? 1.0F : scale;
}

void code_rows(const Packing& packing, Rows rows, Index count, const double* self_dots, float scale,
               const CodeStore& store, const Device& device) {
  check(launch(code_kernel, warp_a_row(count, device), packing, rows, count, self_dots, scale,
               padded(packing.contract.dimension, kCodeStep), store),
        "coding rows");
}

void pack_listed(const Packing& packing, const ListedRows& listed, const double* self_dots, float* packed,
                 RowNumbers* numbers, const Device& device) {
  check(launch(pack_kernel, warp_a_row(listed.count, device), packing, listed, self_dots,
               padded(packing.contract.dimension, kFloatStep), packed, numbers),
        "packing rows");
}

void pack_rows(const Packing& packing, Rows rows, Index count, const double* self_dots, float* packed,
               RowNumbers* numbers, const Device& device) {
  pack_listed(packing, {count, nullptr, rows, true}, self_dots, packed, numbers, device);
}

}  // namespace farpoint::cuda
