#include "emulation/runtime.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "emulation/sanitizers.h"
#include "emulation/settings.h"
#include "emulation/threads.h"

#if defined(FARPOINT_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#endif

namespace farpoint::emulation {
namespace {

using Clock = std::chrono::steady_clock;
constexpr unsigned char kGarbage = 0xA5;
constexpr std::size_t kAlignment = 256;  // cudaMalloc's

// A copy between device and pinned memory that nobody has waited for.
struct Transfer {
  unsigned char* host;
  std::vector<unsigned char> bytes;
  bool download;
  bool done = false;

  bool touches(const void* address, std::size_t count) const {
    const auto first = reinterpret_cast<std::uintptr_t>(address);
    const auto mine = reinterpret_cast<std::uintptr_t>(host);
    return first < mine + bytes.size() && mine < first + count;
  }
  void finish() {
    if (done) {
      return;
    }
    done = true;
    if (download) {
      std::memcpy(host, bytes.data(), bytes.size());
    } else if (std::memcmp(host, bytes.data(), bytes.size()) != 0) {
      fail("pinned memory was changed before its upload had been waited for");
    }
  }
};
using Transfers = std::vector<std::shared_ptr<Transfer>>;

}  // namespace
}  // namespace farpoint::emulation

struct CUstream_st {
  bool blocking = false;
  int queries_until_ready = 0;
  farpoint::emulation::Transfers transfers;
};

struct CUevent_st {
  bool timed = false;
  bool recorded = false;
  int queries_until_ready = 0;
  farpoint::emulation::Clock::time_point time;
  farpoint::emulation::Transfers transfers;  // before it
};

namespace farpoint::emulation {
namespace {

struct Allocation {
  void* memory = nullptr;
  std::size_t bytes = 0;
  bool on_device = false;
  int device = 0;
};

// Everything that the runtime knows, behind one mutex.
struct Runtime {
  std::mutex mutex;
  std::map<std::uintptr_t, Allocation> allocations;  // by their first byte
  std::size_t device_bytes = 0;
  std::set<cudaStream_t> streams;
  std::set<cudaEvent_t> events;
  CUstream_st default_stream{true, 0, {}};
  int accesses = 0;  // DeviceAccess objects
  std::int64_t launches = 0;
  std::int64_t calls_until_failure = -1;
  int failure = 0;
};

Runtime& runtime() {
  static Runtime instance;
  return instance;
}

thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;

cudaError_t answer(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) {
    last_error = error;
  }
  return error;
}

// What every call that can fail begins with; under the mutex.
cudaError_t begin_call() {
  Runtime& all = runtime();
  if (settings().initialization_error != 0) {
    return static_cast<cudaError_t>(settings().initialization_error);
  }
  if (settings().devices == 0) {
    return cudaErrorNoDevice;
  }
  if (all.calls_until_failure >= 0) {
    --all.calls_until_failure;
    if (all.calls_until_failure < 0) {
      return static_cast<cudaError_t>(all.failure);
    }
  }
  return cudaSuccess;
}

#if defined(FARPOINT_ADDRESS_SANITIZER)
void open_range(const void* address, std::size_t bytes) {
  __asan_unpoison_memory_region(address, bytes);
}
void close_range(const void* address, std::size_t bytes) {
  __asan_poison_memory_region(address, bytes);
}
#else
void open_range(const void* /*address*/, std::size_t /*bytes*/) {}
void close_range(const void* /*address*/, std::size_t /*bytes*/) {}
#endif

// Opens one device allocation, or none, for a copy; under the mutex.
class CopyAccess {
 public:
  explicit CopyAccess(const std::pair<const std::uintptr_t, Allocation>* allocation)
      : allocation_(allocation != nullptr && allocation->second.on_device && runtime().accesses == 0
                        ? allocation
                        : nullptr) {
    if (allocation_ != nullptr) {
      open_range(allocation_->second.memory, allocation_->second.bytes);
    }
  }
  ~CopyAccess() {
    if (allocation_ != nullptr) {
      close_range(allocation_->second.memory, allocation_->second.bytes);
    }
  }
  CopyAccess(const CopyAccess&) = delete;
  CopyAccess& operator=(const CopyAccess&) = delete;

 private:
  const std::pair<const std::uintptr_t, Allocation>* allocation_;
};

// The allocation that `address` lies in or just behind.
const std::pair<const std::uintptr_t, Allocation>* find_allocation(const void* address) {
  const auto& allocations = runtime().allocations;
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  const auto after = allocations.upper_bound(at);
  if (after == allocations.begin()) {
    return nullptr;
  }
  const auto& candidate = *std::prev(after);
  return at - candidate.first <= candidate.second.bytes ? &candidate : nullptr;
}

enum class Place { outside, device, pinned, beyond };  // beyond: begins in device memory, does not end there

Place place_of(const void* address, std::size_t bytes) {
  const auto* const found = find_allocation(address);
  if (found == nullptr) {
    return Place::outside;
  }
  const std::size_t offset = reinterpret_cast<std::uintptr_t>(address) - found->first;
  if (offset == found->second.bytes && bytes > 0) {
    return Place::outside;
  }
  if (!found->second.on_device) {
    return Place::pinned;
  }
  return bytes <= found->second.bytes - offset ? Place::device : Place::beyond;
}

// The streams that CUDA names by number are the default stream.
CUstream_st* find_stream(cudaStream_t stream) {
  Runtime& all = runtime();
  if (reinterpret_cast<std::uintptr_t>(stream) <= 2) {
    return &all.default_stream;
  }
  return all.streams.contains(stream) ? stream : nullptr;
}

void finish(Transfers& transfers) {
  for (const auto& transfer : transfers) {
    transfer->finish();
  }
  transfers.clear();
}

void finish(CUstream_st& stream) {
  stream.queries_until_ready = 0;
  finish(stream.transfers);
}

void queue_work(CUstream_st& stream) {
  stream.queries_until_ready = settings().queries_until_ready;
}

cudaError_t copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                      std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t handle,
                      bool wait) {
  Runtime& all = runtime();
  const std::scoped_lock lock(all.mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return error;
  }
  CUstream_st* const stream = find_stream(handle);
  if (stream == nullptr) {
    return cudaErrorInvalidResourceHandle;
  }
  if (width == 0 || height == 0) {
    return cudaSuccess;
  }
  if (to == nullptr || from == nullptr || (height > 1 && (to_pitch < width || from_pitch < width))) {
    return cudaErrorInvalidValue;
  }
  const Place target = place_of(to, (height - 1) * to_pitch + width);
  const Place source = place_of(from, (height - 1) * from_pitch + width);
  if (target == Place::beyond || source == Place::beyond) {
    return cudaErrorInvalidValue;
  }
  const bool to_device = target == Place::device;
  const bool from_device = source == Place::device;
  switch (kind) {
    case cudaMemcpyHostToHost:
    case cudaMemcpyHostToDevice:
    case cudaMemcpyDeviceToHost:
    case cudaMemcpyDeviceToDevice:
      if (to_device != (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice) ||
          from_device != (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice)) {
        return cudaErrorInvalidValue;
      }
      break;
    case cudaMemcpyDefault:
      break;
    default:
      return cudaErrorInvalidMemcpyDirection;
  }
  if (wait) {  // for the default stream and those that block it
    finish(all.default_stream);
    for (CUstream_st* const other : all.streams) {
      if (other->blocking) {
        finish(*other);
      }
    }
  } else {
    queue_work(*stream);
  }
  const CopyAccess target_access(find_allocation(to));
  const CopyAccess source_access(find_allocation(from));
  const bool download = from_device && target == Place::pinned && !wait;
  const bool upload = to_device && source == Place::pinned && !wait;
  for (std::size_t row = 0; row < height; ++row) {
    auto* const out = static_cast<unsigned char*>(to) + row * to_pitch;
    const auto* const in = static_cast<const unsigned char*>(from) + row * from_pitch;
    if (download) {
      for (const auto& transfer : stream->transfers) {
        if (!transfer->download && transfer->touches(out, width)) {
          transfer->finish();  // earlier in the stream: what follows may change its source
        }
      }
      stream->transfers.push_back(
          std::make_shared<Transfer>(Transfer{out, std::vector<unsigned char>(in, in + width), true}));
      std::memset(out, kGarbage, width);
      continue;
    }
    if (upload) {
      for (const auto& transfer : stream->transfers) {
        if (transfer->download && transfer->touches(in, width)) {
          transfer->finish();
        }
      }
      // It is only compared with.
      auto* const host = const_cast<unsigned char*>(in);
      stream->transfers.push_back(
          std::make_shared<Transfer>(Transfer{host, std::vector<unsigned char>(in, in + width), false}));
    }
    std::memmove(out, in, width);
  }
  return cudaSuccess;
}

cudaError_t set_bytes(void* address, int value, std::size_t bytes, cudaStream_t handle) {
  const std::scoped_lock lock(runtime().mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return error;
  }
  CUstream_st* const stream = find_stream(handle);
  if (stream == nullptr) {
    return cudaErrorInvalidResourceHandle;
  }
  if (bytes == 0) {
    return cudaSuccess;
  }
  if (place_of(address, bytes) != Place::device) {
    return cudaErrorInvalidValue;
  }
  queue_work(*stream);
  const CopyAccess access(find_allocation(address));
  std::memset(address, value, bytes);
  return cudaSuccess;
}

cudaError_t allocate(void** address, std::size_t bytes, bool on_device) {
  Runtime& all = runtime();
  const std::scoped_lock lock(all.mutex);
  *address = nullptr;
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return error;
  }
  if (bytes == 0) {
    return cudaSuccess;
  }
  if (on_device && bytes > settings().memory - std::min(settings().memory, all.device_bytes)) {
    return cudaErrorMemoryAllocation;
  }
  void* const memory = ::operator new(bytes, std::align_val_t{kAlignment}, std::nothrow);
  if (memory == nullptr) {
    return cudaErrorMemoryAllocation;
  }
  std::memset(memory, kGarbage, bytes);
  all.allocations[reinterpret_cast<std::uintptr_t>(memory)] = {memory, bytes, on_device, current_device};
  all.device_bytes += on_device ? bytes : 0;
  if (on_device && all.accesses == 0) {
    close_range(memory, bytes);
  }
  *address = memory;
  return cudaSuccess;
}

cudaError_t release(void* address, bool on_device) {
  Runtime& all = runtime();
  const std::scoped_lock lock(all.mutex);
  if (address == nullptr) {
    return cudaSuccess;
  }
  const auto found = all.allocations.find(reinterpret_cast<std::uintptr_t>(address));
  if (found == all.allocations.end() || found->second.on_device != on_device) {
    return cudaErrorInvalidValue;
  }
  const std::size_t bytes = found->second.bytes;
  if (!on_device) {  // waits for what is under way, so nothing arrives later
    const auto forget = [&](Transfers& transfers) {
      std::erase_if(transfers, [&](const auto& transfer) { return transfer->touches(address, bytes); });
    };
    forget(all.default_stream.transfers);
    for (CUstream_st* const stream : all.streams) {
      forget(stream->transfers);
    }
    for (CUevent_st* const event : all.events) {
      forget(event->transfers);
    }
  }
  all.device_bytes -= on_device ? bytes : 0;
  all.allocations.erase(found);
  open_range(address, bytes);
  ::operator delete(address, std::align_val_t{kAlignment});
  return cudaSuccess;
}

Settings settings_from_environment() {
  Settings result;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
  const char* const text = std::getenv("FARPOINT_EMULATION_ORDER");
  if (text == nullptr) {
    return result;
  }
  const std::string_view order = text;
  if (order == "falling") {
    result.order = Order::falling;
  } else if (order.starts_with("shuffled")) {
    result.order = Order::shuffled;
    if (order.size() > 9) {
      result.seed = std::strtoull(text + 9, nullptr, 10);
    }
  } else if (order != "rising" && !order.empty()) {
    fail("FARPOINT_EMULATION_ORDER is rising, falling, shuffled or shuffled:SEED");
  }
  return result;
}

struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};
constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidDevicePointer, "cudaErrorInvalidDevicePointer", "invalid device pointer"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable",
     "CUDA-capable device(s) is/are busy or unavailable"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
     "too many resources requested for launch"},
    {cudaErrorLaunchTimeout, "cudaErrorLaunchTimeout", "the launch timed out and was terminated"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorCooperativeLaunchTooLarge, "cudaErrorCooperativeLaunchTooLarge",
     "too many blocks in cooperative launch"},
    {cudaErrorNotPermitted, "cudaErrorNotPermitted", "operation not permitted"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorSystemNotReady, "cudaErrorSystemNotReady", "system not yet initialized"},
    {cudaErrorSystemDriverMismatch, "cudaErrorSystemDriverMismatch",
     "system has unsupported display driver / cuda driver combination"},
    {cudaErrorCompatNotSupportedOnDevice, "cudaErrorCompatNotSupportedOnDevice",
     "forward compatibility was attempted on non supported HW"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const ErrorText* find_error(cudaError_t error) {
  const auto* const found = std::ranges::find(kErrors, error, &ErrorText::error);
  return found == std::end(kErrors) ? nullptr : found;
}

}  // namespace

Settings& settings() {
  static Settings instance = settings_from_environment();
  return instance;
}

void fail_call(std::int64_t calls, int error) {
  const std::scoped_lock lock(runtime().mutex);
  runtime().calls_until_failure = calls;
  runtime().failure = error;
}

std::size_t live_allocations() {
  const std::scoped_lock lock(runtime().mutex);
  return runtime().allocations.size();
}
std::size_t device_bytes() {
  const std::scoped_lock lock(runtime().mutex);
  return runtime().device_bytes;
}
std::size_t live_streams() {
  const std::scoped_lock lock(runtime().mutex);
  return runtime().streams.size();
}
std::size_t live_events() {
  const std::scoped_lock lock(runtime().mutex);
  return runtime().events.size();
}
std::int64_t launches() {
  const std::scoped_lock lock(runtime().mutex);
  return runtime().launches;
}

#if defined(FARPOINT_ADDRESS_SANITIZER)
DeviceAccess::DeviceAccess() {
  const std::scoped_lock lock(runtime().mutex);
  if (runtime().accesses++ == 0) {
    for (const auto& [address, allocation] : runtime().allocations) {
      open_range(allocation.memory, allocation.bytes);
    }
  }
}
DeviceAccess::~DeviceAccess() {
  const std::scoped_lock lock(runtime().mutex);
  if (--runtime().accesses == 0) {
    for (const auto& [address, allocation] : runtime().allocations) {
      if (allocation.on_device) {
        close_range(allocation.memory, allocation.bytes);
      }
    }
  }
}
#else
DeviceAccess::DeviceAccess() = default;
DeviceAccess::~DeviceAccess() = default;
#endif

bool device_may_have(const void* address) {
  const std::scoped_lock lock(runtime().mutex);
  return address == nullptr || find_allocation(address) != nullptr;
}

cudaError_t launch(const Launch& launch, cudaStream_t handle) {
  const Settings& device = settings();
  {
    const std::scoped_lock lock(runtime().mutex);
    if (const cudaError_t error = begin_call(); error != cudaSuccess) {
      return answer(error);
    }
    CUstream_st* const stream = find_stream(handle);
    if (stream == nullptr) {
      return answer(cudaErrorInvalidResourceHandle);
    }
    if (launch.blocks < 0 || launch.blocks > 0x7fffffff || launch.threads < 1 || launch.threads > 1024) {
      return answer(cudaErrorInvalidConfiguration);
    }
    if (launch.shared_bytes > device.shared_bytes) {
      return answer(cudaErrorInvalidValue);
    }
    if (launch.cooperative &&
        launch.blocks > std::int64_t{device.multiprocessors} * device.blocks_per_multiprocessor) {
      return answer(cudaErrorCooperativeLaunchTooLarge);
    }
    queue_work(*stream);
    runtime().launches += 1;
  }
  const DeviceAccess access;
  run(launch);
  return cudaSuccess;
}

cudaError_t set_attribute(const void* function, cudaFuncAttribute attribute, int value) {
  const std::scoped_lock lock(runtime().mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  if (function == nullptr) {
    return answer(cudaErrorInvalidDeviceFunction);
  }
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize &&
      (value < 0 || static_cast<std::size_t>(value) > settings().shared_bytes)) {
    return answer(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t occupancy(int* blocks, int threads, std::size_t shared_bytes) {
  const std::scoped_lock lock(runtime().mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  *blocks =
      threads > 1024 || shared_bytes > settings().shared_bytes ? 0 : settings().blocks_per_multiprocessor;
  return cudaSuccess;
}

}  // namespace farpoint::emulation

using farpoint::emulation::answer;
using farpoint::emulation::begin_call;
using farpoint::emulation::Clock;
using farpoint::emulation::current_device;
using farpoint::emulation::find_stream;
using farpoint::emulation::runtime;
using farpoint::emulation::settings;

const char* cudaGetErrorString(cudaError_t error) {
  const auto* const found = farpoint::emulation::find_error(error);
  return found == nullptr ? "unrecognized error code" : found->text;
}
const char* cudaGetErrorName(cudaError_t error) {
  const auto* const found = farpoint::emulation::find_error(error);
  return found == nullptr ? "unrecognized error code" : found->name;
}
cudaError_t cudaGetLastError() {
  return std::exchange(farpoint::emulation::last_error, cudaSuccess);
}
cudaError_t cudaPeekAtLastError() {
  return farpoint::emulation::last_error;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = settings().driver_version;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  const std::scoped_lock lock(runtime().mutex);
  *count = 0;
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  *count = settings().devices;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  const std::scoped_lock lock(runtime().mutex);
  *device = current_device;
  return answer(begin_call());
}
cudaError_t cudaSetDevice(int device) {
  const std::scoped_lock lock(runtime().mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  if (device < 0 || device >= settings().devices) {
    return answer(cudaErrorInvalidDevice);
  }
  current_device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  const std::scoped_lock lock(runtime().mutex);
  *properties = {};
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  if (device < 0 || device >= settings().devices) {
    return answer(cudaErrorInvalidDevice);
  }
  constexpr std::string_view kName = "emulated device";
  std::ranges::copy(kName, properties->name);
  properties->totalGlobalMem = settings().memory;
  properties->sharedMemPerBlock = std::min(settings().shared_bytes, std::size_t{48} * 1024);
  properties->regsPerBlock = 65536;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  std::ranges::copy(std::array{1024, 1024, 64}, properties->maxThreadsDim);
  std::ranges::copy(std::array{0x7fffffff, 65535, 65535}, properties->maxGridSize);
  properties->major = 9;
  properties->minor = 0;
  properties->multiProcessorCount = settings().multiprocessors;
  properties->canMapHostMemory = 1;
  properties->concurrentKernels = 1;
  properties->asyncEngineCount = 1;
  properties->unifiedAddressing = 1;
  properties->l2CacheSize = 1 << 20;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->sharedMemPerMultiprocessor = settings().shared_bytes + 1024;
  properties->managedMemory = 1;
  properties->concurrentManagedAccess = 1;
  properties->cooperativeLaunch = 1;
  properties->sharedMemPerBlockOptin = settings().shared_bytes;
  properties->maxBlocksPerMultiProcessor = 32;
  properties->reservedSharedMemPerBlock = 1024;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device); error != cudaSuccess) {
    return error;
  }
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = properties.maxThreadsPerBlock;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(properties.sharedMemPerBlock);
      return cudaSuccess;
    case cudaDevAttrWarpSize:
      *value = properties.warpSize;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = properties.multiProcessorCount;
      return cudaSuccess;
    case cudaDevAttrIntegrated:
      *value = properties.integrated;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = properties.l2CacheSize;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = properties.major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = properties.minor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(properties.sharedMemPerMultiprocessor);
      return cudaSuccess;
    case cudaDevAttrPageableMemoryAccess:
      *value = properties.pageableMemoryAccess;
      return cudaSuccess;
    case cudaDevAttrConcurrentManagedAccess:
      *value = properties.concurrentManagedAccess;
      return cudaSuccess;
    case cudaDevAttrCooperativeLaunch:
      *value = properties.cooperativeLaunch;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(properties.sharedMemPerBlockOptin);
      return cudaSuccess;
  }
  return answer(cudaErrorInvalidValue);
}

cudaError_t cudaDeviceSynchronize() {
  const std::scoped_lock lock(runtime().mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  farpoint::emulation::finish(runtime().default_stream);
  for (CUstream_st* const stream : runtime().streams) {
    farpoint::emulation::finish(*stream);
  }
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** address, std::size_t bytes) {
  return answer(farpoint::emulation::allocate(address, bytes, true));
}
cudaError_t cudaFree(void* address) {
  return answer(farpoint::emulation::release(address, true));
}
cudaError_t cudaMallocHost(void** address, std::size_t bytes, unsigned /*flags*/) {
  return answer(farpoint::emulation::allocate(address, bytes, false));
}
cudaError_t cudaHostAlloc(void** address, std::size_t bytes, unsigned /*flags*/) {
  return answer(farpoint::emulation::allocate(address, bytes, false));
}
cudaError_t cudaFreeHost(void* address) {
  return answer(farpoint::emulation::release(address, false));
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::scoped_lock lock(runtime().mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  *total = settings().memory;
  *free = *total - std::min(*total, runtime().device_bytes);
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  const std::scoped_lock lock(runtime().mutex);
  *attributes = {cudaMemoryTypeUnregistered, -2, nullptr, nullptr};
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  auto* const same = const_cast<void*>(address);
  const auto* const found = farpoint::emulation::find_allocation(address);
  if (found == nullptr || reinterpret_cast<std::uintptr_t>(address) - found->first == found->second.bytes) {
    attributes->hostPointer = same;
  } else if (found->second.on_device) {
    *attributes = {cudaMemoryTypeDevice, found->second.device, same, nullptr};
  } else {
    *attributes = {cudaMemoryTypeHost, found->second.device, same, same};
  }
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return answer(farpoint::emulation::copy_rows(to, bytes, from, bytes, bytes, 1, kind, nullptr, true));
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return answer(farpoint::emulation::copy_rows(to, bytes, from, bytes, bytes, 1, kind, stream, false));
}
cudaError_t cudaMemcpy2D(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                         std::size_t width, std::size_t height, cudaMemcpyKind kind) {
  return answer(
      farpoint::emulation::copy_rows(to, to_pitch, from, from_pitch, width, height, kind, nullptr, true));
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  return answer(
      farpoint::emulation::copy_rows(to, to_pitch, from, from_pitch, width, height, kind, stream, false));
}
cudaError_t cudaMemset(void* address, int value, std::size_t bytes) {
  return answer(farpoint::emulation::set_bytes(address, value, bytes, nullptr));
}
cudaError_t cudaMemsetAsync(void* address, int value, std::size_t bytes, cudaStream_t stream) {
  return answer(farpoint::emulation::set_bytes(address, value, bytes, stream));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const std::scoped_lock lock(runtime().mutex);
  *stream = nullptr;
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  auto made = std::make_unique<CUstream_st>();
  made->blocking = (flags & cudaStreamNonBlocking) == 0;
  runtime().streams.insert(made.get());
  *stream = made.release();
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}
// Forgets what nobody waited for.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::scoped_lock lock(runtime().mutex);
  if (runtime().streams.erase(stream) == 0) {
    return answer(cudaErrorInvalidResourceHandle);
  }
  const std::unique_ptr<CUstream_st> owned(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::scoped_lock lock(runtime().mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  CUstream_st* const found = find_stream(stream);
  if (found == nullptr) {
    return answer(cudaErrorInvalidResourceHandle);
  }
  farpoint::emulation::finish(*found);
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::scoped_lock lock(runtime().mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  CUstream_st* const found = find_stream(stream);
  if (found == nullptr) {
    return answer(cudaErrorInvalidResourceHandle);
  }
  if (found->queries_until_ready > 0) {
    --found->queries_until_ready;
    return cudaErrorNotReady;
  }
  farpoint::emulation::finish(*found);
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned /*flags*/) {
  const std::scoped_lock lock(runtime().mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  CUstream_st* const found = find_stream(stream);
  if (found == nullptr || !runtime().events.contains(event)) {
    return answer(cudaErrorInvalidResourceHandle);
  }
  found->transfers.insert(found->transfers.end(), event->transfers.begin(), event->transfers.end());
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const std::scoped_lock lock(runtime().mutex);
  *event = nullptr;
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  auto made = std::make_unique<CUevent_st>();
  made->timed = (flags & cudaEventDisableTiming) == 0;
  runtime().events.insert(made.get());
  *event = made.release();
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::scoped_lock lock(runtime().mutex);
  if (runtime().events.erase(event) == 0) {
    return answer(cudaErrorInvalidResourceHandle);
  }
  const std::unique_ptr<CUevent_st> owned(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::scoped_lock lock(runtime().mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  CUstream_st* const found = find_stream(stream);
  if (found == nullptr || !runtime().events.contains(event)) {
    return answer(cudaErrorInvalidResourceHandle);
  }
  event->recorded = true;
  event->time = Clock::now();
  event->queries_until_ready = found->queries_until_ready;
  event->transfers = found->transfers;
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::scoped_lock lock(runtime().mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  if (!runtime().events.contains(event)) {
    return answer(cudaErrorInvalidResourceHandle);
  }
  if (event->queries_until_ready > 0) {
    --event->queries_until_ready;
    return cudaErrorNotReady;
  }
  farpoint::emulation::finish(event->transfers);
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::scoped_lock lock(runtime().mutex);
  if (const cudaError_t error = begin_call(); error != cudaSuccess) {
    return answer(error);
  }
  if (!runtime().events.contains(event)) {
    return answer(cudaErrorInvalidResourceHandle);
  }
  event->queries_until_ready = 0;
  farpoint::emulation::finish(event->transfers);
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  const std::scoped_lock lock(runtime().mutex);
  if (!runtime().events.contains(start) || !runtime().events.contains(end) || !start->timed || !end->timed ||
      !start->recorded || !end->recorded) {
    return answer(cudaErrorInvalidResourceHandle);
  }
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}
