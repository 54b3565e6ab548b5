// Devices: which there are, why one cannot be used, and what owns their memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/control.h"
#include "core/types.h"
#include "cuda/platform.h"

namespace farpoint::cuda {

// One sentence, for users.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

// Throws what `error` means; `doing` completes "while ...".
void check(cudaError_t error, const char* doing);

struct DeviceInfo {
  std::string name;
  int major = 0;  // compute capability
  int minor = 0;
  int multiprocessors = 0;
  std::size_t memory = 0;                  // bytes
  std::size_t shared_bytes_per_block = 0;  // at most, when asked for
};

// Why no device can be used here: no driver, one that is too old, no device. Empty: there is at least one.
std::string unavailable_reason();
std::vector<DeviceInfo> devices();
// "13.0": of the runtime that was compiled in.
std::string runtime_version();
// "13.0": the newest that the driver supports; "none" without one.
std::string driver_version();

// Where a call runs.
struct DeviceOptions {
  int device = 0;
  // Bytes that a call may take, less what a matrix that is there already takes. 0: most of what is free.
  std::size_t memory_limit = 0;
  // A CUDA stream (cudaStream_t) whose work so far writes the matrices; 0: the legacy default stream.
  std::uintptr_t ready_after = 0;
  bool eager = false;  // for tests: tuning::kEagerSchedule
  bool stage = false;  // for tests: a matrix of the host is staged whatever fits
};

// A matrix, and whose memory it lies in.
struct Matrix {
  MatrixView view;
  bool on_device = false;
};

// Memory that the runtime gives, for `size` elements of a trivial type, not initialised.
template <class T, class Memory>
class OwnedArray {
 public:
  OwnedArray() = default;
  explicit OwnedArray(Index size) : size_(size) {
    if (size > 0) {
      data_ = static_cast<T*>(Memory::allocate(static_cast<std::size_t>(size) * sizeof(T)));
    }
  }
  ~OwnedArray() { Memory::free(static_cast<void*>(data_)); }
  OwnedArray(const OwnedArray&) = delete;
  OwnedArray& operator=(const OwnedArray&) = delete;
  OwnedArray(OwnedArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  OwnedArray& operator=(OwnedArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  Index size() const { return size_; }

 private:
  T* data_ = nullptr;
  Index size_ = 0;
};

struct DeviceMemory {
  static void* allocate(std::size_t bytes) {
    void* data = nullptr;
    check(cudaMalloc(&data, bytes), "allocating device memory");
    return data;
  }
  static void free(void* data) { static_cast<void>(cudaFree(data)); }
};

struct PinnedMemory {
  static void* allocate(std::size_t bytes) {
    void* data = nullptr;
    check(cudaMallocHost(&data, bytes), "allocating pinned memory");
    return data;
  }
  static void free(void* data) { static_cast<void>(cudaFreeHost(data)); }
};

template <class T>
using Buffer = OwnedArray<T, DeviceMemory>;
// Of the host, which the device copies from and to without a detour.
template <class T>
using PinnedBuffer = OwnedArray<T, PinnedMemory>;

// The device of a call, current for the calling thread while this lives, with a stream of its own.
class Device {
 public:
  explicit Device(const DeviceOptions& options);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const DeviceInfo& info() const { return info_; }
  cudaStream_t stream() const { return stream_; }
  bool eager() const { return eager_; }
  bool stage() const { return stage_; }
  // Bytes that may still be allocated.
  std::size_t free_memory() const;

  // Pinned memory for small results.
  static constexpr Index kMailBytes = 1024;
  std::byte* mail() const { return mail_.data(); }

  // Waits for all work of the stream, asking `control` now and then; throws Interrupted.
  void synchronise(Control& control) const;

 private:
  void restore() const;

  DeviceInfo info_;
  int device_;
  int previous_ = 0;
  cudaStream_t stream_ = nullptr;
  std::size_t memory_limit_;
  bool eager_;
  bool stage_;
  std::size_t free_at_start_ = 0;
  mutable PinnedBuffer<std::byte> mail_;
};

// Copies a span to the device, in the order of its stream. From pageable memory it returns when the source
// may be reused.
template <class T>
void upload(const Device& device, T* to, std::span<const T> from) {
  if (!from.empty()) {
    check(cudaMemcpyAsync(static_cast<void*>(to), static_cast<const void*>(from.data()), from.size_bytes(),
                          cudaMemcpyHostToDevice, device.stream()),
          "copying to the device");
  }
}

// Copies from the device and waits for it, and for all that was in the stream before, asking `control` now
// and then; throws Interrupted.
void read_bytes(const Device& device, void* to, const void* from, std::size_t bytes, Control& control);
template <class T>
void read(const Device& device, std::span<T> to, const T* from, Control& control) {
  read_bytes(device, to.data(), from, to.size_bytes(), control);
}

}  // namespace farpoint::cuda
