#include "cuda/device.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "core/tuning.h"

namespace farpoint::cuda {
namespace {

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// Compute capability 7.5, and kernels whose blocks wait for each other.
cudaError_t ask_new_enough(int device, bool& new_enough) {
  int major = 0;
  int minor = 0;
  int cooperative = 0;
  cudaError_t error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
  }
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&cooperative, cudaDevAttrCooperativeLaunch, device);
  }
  new_enough = 10 * major + minor >= 75 && cooperative != 0;
  return error;
}

DeviceInfo describe(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "asking for the properties of the device");
  DeviceInfo info;
  info.name = properties.name;
  info.major = properties.major;
  info.minor = properties.minor;
  info.multiprocessors = properties.multiProcessorCount;
  info.memory = properties.totalGlobalMem;
  info.shared_bytes_per_block = properties.sharedMemPerBlockOptin;
  return info;
}

}  // namespace

void check(cudaError_t error, const char* doing) {
  if (error == cudaSuccess) {
    return;
  }
  // Not to be found by the next call that asks for the last error.
  static_cast<void>(cudaGetLastError());
  const std::string text = std::string(cudaGetErrorString(error)) + " (while " + doing + ")";
  if (error == cudaErrorMemoryAllocation) {
    throw OutOfMemory("the CUDA device has too little memory: " + text);
  }
  throw Error("CUDA: " + text);
}

std::string unavailable_reason() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) {
    for (int device = 0; device < count; ++device) {
      bool new_enough = false;
      if (ask_new_enough(device, new_enough) == cudaSuccess && new_enough) {
        return "";
      }
    }
    return "no CUDA device here has compute capability 7.5 or later";
  }
  static_cast<void>(cudaGetLastError());
  if (error == cudaErrorInsufficientDriver) {
    int driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
      return "no NVIDIA driver is installed";
    }
    return "the NVIDIA driver is too old: it supports CUDA " + version_text(driver) + ", this build needs " +
           runtime_version();
  }
  if (error == cudaSuccess || error == cudaErrorNoDevice) {
    return "there is no CUDA device";
  }
  return std::string("the CUDA driver cannot be used: ") + cudaGetErrorString(error);
}

std::vector<DeviceInfo> devices() {
  std::vector<DeviceInfo> found;
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return found;
  }
  found.reserve(static_cast<std::size_t>(count));
  for (int device = 0; device < count; ++device) {
    found.push_back(describe(device));
  }
  return found;
}

std::string runtime_version() {
  int version = 0;
  check(cudaRuntimeGetVersion(&version), "asking for the version of the runtime");
  return version_text(version);
}

std::string driver_version() {
  int version = 0;
  if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0) {
    static_cast<void>(cudaGetLastError());
    return "none";
  }
  return version_text(version);
}

Device::Device(const DeviceOptions& options)
    : memory_limit_(options.memory_limit), eager_(options.eager), stage_(options.stage) {
  // What another library left on this thread is not ours: CUB asks for the last error.
  static_cast<void>(cudaGetLastError());
  int count = 0;
  check(cudaGetDeviceCount(&count), "counting devices");
  if (options.device < 0 || options.device >= count) {
    throw Error("CUDA device " + std::to_string(options.device) + " does not exist; there are " +
                std::to_string(count));
  }
  check(cudaGetDevice(&previous_), "asking for the current device");
  info_ = describe(options.device);
  bool new_enough = false;
  check(ask_new_enough(options.device, new_enough), "asking for a property of the device");
  if (!new_enough) {
    throw Error("CUDA device " + std::to_string(options.device) + " (" + info_.name +
                ", compute capability " + std::to_string(info_.major) + "." + std::to_string(info_.minor) +
                ") is too old; 7.5 or later is needed");
  }
  check(cudaSetDevice(options.device), "choosing the device");
  try {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
    // Whatever writes the matrices was begun on this stream.
    cudaEvent_t ready = nullptr;
    check(cudaEventCreateWithFlags(&ready, cudaEventDisableTiming), "creating an event");
    // The handle came through Python as a number.
    auto* producer =
        reinterpret_cast<cudaStream_t>(options.ready_after);  // NOLINT(performance-no-int-to-ptr)
    const cudaError_t recorded = cudaEventRecord(ready, producer);
    const cudaError_t waited =
        recorded == cudaSuccess ? cudaStreamWaitEvent(stream_, ready, 0) : cudaErrorInvalidValue;
    static_cast<void>(cudaEventDestroy(ready));
    check(recorded != cudaSuccess ? recorded : waited, "waiting for the stream of the matrices");
    std::size_t total = 0;
    check(cudaMemGetInfo(&free_at_start_, &total), "asking for free memory");
    mail_ = PinnedBuffer<std::byte>(kMailBytes);
  } catch (...) {
    if (stream_ != nullptr) {
      static_cast<void>(cudaStreamDestroy(stream_));
    }
    restore();
    throw;
  }
}

Device::~Device() {
  static_cast<void>(cudaStreamSynchronize(stream_));
  static_cast<void>(cudaStreamDestroy(stream_));
  restore();
}

// Only where it is another one: making a device current makes a context on it.
void Device::restore() const {
  if (previous_ != device_) {
    static_cast<void>(cudaSetDevice(previous_));
  }
}

std::size_t Device::free_memory() const {
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  if (memory_limit_ == 0) {
    return free;
  }
  const std::size_t taken = free_at_start_ - std::min(free, free_at_start_);
  return std::min(free, memory_limit_ - std::min(taken, memory_limit_));
}

void Device::synchronise(Control& control) const {
  // Most waits are for microseconds; one that is not must not keep a processor busy.
  constexpr int kQuickLooks = 2000;
  for (int look = 0;; ++look) {
    const cudaError_t error = cudaStreamQuery(stream_);
    if (error == cudaSuccess) {
      break;
    }
    if (error != cudaErrorNotReady) {
      check(error, "computing");
    }
    if (look >= kQuickLooks) {
      control.poll();  // the work under way is short: it is waited for even when the call shall stop
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  control.poll();
  control.throw_if_stopped();
}

void read_bytes(const Device& device, void* to, const void* from, std::size_t bytes, Control& control) {
  const bool small = bytes <= static_cast<std::size_t>(Device::kMailBytes);
  if (!small) {
    // Copies to pageable memory block until the stream comes to them: not before it is idle.
    device.synchronise(control);
  }
  if (bytes > 0) {
    check(cudaMemcpyAsync(small ? device.mail() : to, from, bytes, cudaMemcpyDeviceToHost, device.stream()),
          "copying from the device");
  }
  device.synchronise(control);
  if (small && bytes > 0) {
    std::memcpy(to, device.mail(), bytes);
  }
}

}  // namespace farpoint::cuda
