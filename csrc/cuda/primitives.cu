#include "cuda/primitives.h"

#include <thrust/iterator/counting_iterator.h>

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_reduce.cuh>
#include <cub/device/device_select.cuh>
#include <limits>

namespace farpoint::cuda {
namespace {

struct Admits {
  const double* values;
  Threshold threshold;

  __device__ bool operator()(Index row) const {
    const double value = values[row];
    return value != kTaken && threshold.admits(value, row);
  }
};

struct Keeps {
  RowState state;
  Threshold threshold;
  Index picks;
  Keep keep;

  __device__ bool operator()(Index row) const {
    return threshold.admits(state.values[row], row) &&
           (state.progress[row] == picks) == (keep == Keep::current);
  }
};

constexpr int kThreads = 256;

// Older CUB counts in 32 bits; so many rows do not fit a device (check_sizes in cuda/state.h).
int items(Index count) {
  return static_cast<int>(count);
}

__global__ void progress_kernel(const Index* rows, Index count, const std::int32_t* progress,
                                std::int32_t* keys) {
  const Index place = static_cast<Index>(blockIdx.x) * kThreads + static_cast<Index>(threadIdx.x);
  if (place < count) {
    keys[place] = progress[rows[place]];
  }
}

}  // namespace

std::byte* Primitives::temporary(std::size_t bytes) {
  if (static_cast<std::size_t>(temporary_.size()) < bytes) {
    check(cudaStreamSynchronize(device_->stream()), "making room");  // the old memory is used until then
    temporary_ = Buffer<std::byte>();
    temporary_ = Buffer<std::byte>(static_cast<Index>(bytes));
  }
  return temporary_.data();
}

Index Primitives::read_count(Control& control) {
  Index count = 0;
  read(*device_, std::span(&count, 1), count_.data(), control);
  return count;
}

Index Primitives::admitted(const double* values, Index size, const Threshold& threshold, Index* rows,
                           Control& control) {
  const thrust::counting_iterator<Index> all(0);
  const Admits admits{values, threshold};
  std::size_t bytes = 0;
  check(
      cub::DeviceSelect::If(nullptr, bytes, all, rows, count_.data(), items(size), admits, device_->stream()),
      "listing rows");
  check(cub::DeviceSelect::If(temporary(bytes), bytes, all, rows, count_.data(), items(size), admits,
                              device_->stream()),
        "listing rows");
  return read_count(control);
}

Index Primitives::filter(const Index* listed, Index count, const RowState& state, const Threshold& threshold,
                         Index picks, Keep keep, Index* rows, Control& control) {
  const Keeps keeps{state, threshold, picks, keep};
  std::size_t bytes = 0;
  check(cub::DeviceSelect::If(nullptr, bytes, listed, rows, count_.data(), items(count), keeps,
                              device_->stream()),
        "listing rows");
  check(cub::DeviceSelect::If(temporary(bytes), bytes, listed, rows, count_.data(), items(count), keeps,
                              device_->stream()),
        "listing rows");
  return read_count(control);
}

void Primitives::order_by_progress(Index* rows, Index count, const std::int32_t* progress, Index picks) {
  if (count == 0) {
    return;
  }
  if (rows_.size() < count) {
    rows_ = Buffer<Index>(count);
    keys_[0] = Buffer<std::int32_t>(count);
    keys_[1] = Buffer<std::int32_t>(count);
  }
  check(launch(progress_kernel, {(count + kThreads - 1) / kThreads, kThreads, 0, device_->stream()},
               static_cast<const Index*>(rows), count, progress, keys_[0].data()),
        "ordering rows");
  int bits = 1;
  while (picks >> bits != 0) {
    ++bits;
  }
  std::size_t bytes = 0;
  const auto sort = [&](std::byte* temporary) {
    return cub::DeviceRadixSort::SortPairs(temporary, bytes, keys_[0].data(), keys_[1].data(),
                                           static_cast<const Index*>(rows), rows_.data(), items(count), 0,
                                           bits, device_->stream());
  };
  check(sort(nullptr), "ordering rows");
  check(sort(temporary(bytes)), "ordering rows");
  check(cudaMemcpyAsync(rows, rows_.data(), static_cast<std::size_t>(count) * sizeof(Index),
                        cudaMemcpyDeviceToDevice, device_->stream()),
        "ordering rows");
}

double Primitives::largest(const double* values, Index size, Control& control) {
  std::size_t bytes = 0;
  check(cub::DeviceReduce::Max(nullptr, bytes, values, largest_.data(), items(size), device_->stream()),
        "finding the largest value");
  check(cub::DeviceReduce::Max(temporary(bytes), bytes, values, largest_.data(), items(size),
                               device_->stream()),
        "finding the largest value");
  double found = 0;
  read(*device_, std::span(&found, 1), largest_.data(), control);
  return found;
}

}  // namespace farpoint::cuda
