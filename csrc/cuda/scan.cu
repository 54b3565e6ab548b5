// One pass over a matrix: is every element finite, how large do they get, is a row zero? One warp a row. Twin
// of cpu/scan.cpp.

#include "core/tuning.h"
#include "cuda/distances.h"
#include "cuda/elements.h"
#include "cuda/points.h"

namespace farpoint::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarp = 32;

// Magnitudes as the bits of a float64, which are ordered as they are.
struct Found {
  unsigned long long first_bad;
  unsigned long long first_zero;
  unsigned long long largest;
  unsigned long long smallest;
};

__device__ inline unsigned long long bits_of(double x) {
  return static_cast<unsigned long long>(__double_as_longlong(x));
}

__global__ void scan_kernel(Contract contract, Rows rows, Index begin, Index end, Found* found) {
  const Index i =
      begin + (static_cast<Index>(blockIdx.x) * kThreads + static_cast<Index>(threadIdx.x)) / kWarp;
  if (i >= end) {
    return;  // the whole warp leaves
  }
  const std::byte* row = rows.row(i - begin);
  double largest = 0;
  int finite = 1;
  with_element_type(contract.type, [&](auto element) {
    using T = decltype(element);
    for (Index j = threadIdx.x % kWarp; j < contract.dimension; j += kWarp) {
      const double magnitude = fabs(widen(reinterpret_cast<const T*>(row)[j]));
      finite = finite != 0 && magnitude < kInfinity ? 1 : 0;  // false for NaN too
      largest = fmax(largest, magnitude);
    }
    return 0;
  });
#pragma unroll
  for (int width = kWarp / 2; width >= 1; width /= 2) {
    largest = fmax(largest, __shfl_xor_sync(0xffffffffU, largest, width));
    finite &= __shfl_xor_sync(0xffffffffU, finite, width);
  }
  if (threadIdx.x % kWarp != 0) {
    return;
  }
  if (finite == 0) {
    atomicMin(&found->first_bad, static_cast<unsigned long long>(i));
  } else if (largest == 0) {
    atomicMin(&found->first_zero, static_cast<unsigned long long>(i));
  } else {
    atomicMax(&found->largest, bits_of(largest));
    atomicMin(&found->smallest, bits_of(largest));
  }
}

double from_bits(unsigned long long bits) {
  double x = 0;
  static_assert(sizeof x == sizeof bits);
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

}  // namespace

Scan scan(const Matrix& matrix, const DeviceOptions& options, Control& control) {
  const Device device(options);
  constexpr unsigned long long kNone = ~0ULL;
  constexpr unsigned long long kInfinityBits = 0x7ff0000000000000ULL;
  Found found{kNone, kNone, 0, kInfinityBits};
  Buffer<Found> on_device(1);
  upload(device, on_device.data(), std::span<const Found>(&found, 1));
  const Contract contract{Metric::squared_euclidean, matrix.view.type, matrix.view.columns, 1.0};
  const auto visit = [&](Rows rows, Index begin, Index end) {
    check(
        launch(scan_kernel, {((end - begin) * kWarp + kThreads - 1) / kThreads, kThreads, 0, device.stream()},
               contract, rows, begin, end, on_device.data()),
        "scanning rows");
  };
  if (matrix.on_device) {
    visit({matrix.view.data, matrix.view.row_stride, nullptr}, 0, matrix.view.rows);
  } else {
    const Index row_bytes = contract.dimension * static_cast<Index>(element_size(contract.type));
    const Index chunk_rows = std::clamp<Index>(tuning::kStageBytes / row_bytes, 1, matrix.view.rows);
    Buffer<std::byte> chunk(chunk_rows * row_bytes);
    Upload upload(device, row_bytes);
    for (Index begin = 0; begin < matrix.view.rows; begin += chunk_rows) {
      const Index end = std::min(begin + chunk_rows, matrix.view.rows);
      upload.copy(chunk.data(), end - begin, [&](Index i) { return matrix.view.row(begin + i); }, control);
      control.throw_if_stopped();
      visit({chunk.data(), row_bytes, nullptr}, begin, end);
    }
  }
  read(device, std::span(&found, 1), on_device.data(), control);
  return {found.first_bad == kNone ? -1 : static_cast<Index>(found.first_bad),
          found.first_zero == kNone ? -1 : static_cast<Index>(found.first_zero), from_bits(found.largest),
          from_bits(found.smallest)};
}

}  // namespace farpoint::cuda
