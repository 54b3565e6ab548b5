// Device and pinned memory, and copies between them.

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>

#include "emulation/sanitizers.h"
#include "emulation/state.h"

#if defined(FARPOINT_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#endif

namespace farpoint::emulation {

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

namespace {

constexpr std::size_t kAlignment = 256;  // cudaMalloc's

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

cudaError_t copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                      std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t handle,
                      bool wait) {
  return call([&](Runtime& all) {
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
  });
}

cudaError_t set_bytes(void* address, int value, std::size_t bytes, cudaStream_t handle) {
  return call([&](Runtime& /*all*/) {
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
  });
}

cudaError_t allocate(void** address, std::size_t bytes, bool on_device) {
  *address = nullptr;
  return call([&](Runtime& all) {
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
  });
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

}  // namespace

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

}  // namespace farpoint::emulation

using farpoint::emulation::allocate;
using farpoint::emulation::answer;
using farpoint::emulation::call;
using farpoint::emulation::copy_rows;
using farpoint::emulation::find_allocation;
using farpoint::emulation::release;
using farpoint::emulation::Runtime;
using farpoint::emulation::set_bytes;
using farpoint::emulation::settings;

cudaError_t cudaMalloc(void** address, std::size_t bytes) {
  return allocate(address, bytes, true);
}
cudaError_t cudaFree(void* address) {
  return answer(release(address, true));
}
cudaError_t cudaMallocHost(void** address, std::size_t bytes, unsigned /*flags*/) {
  return allocate(address, bytes, false);
}
cudaError_t cudaHostAlloc(void** address, std::size_t bytes, unsigned /*flags*/) {
  return allocate(address, bytes, false);
}
cudaError_t cudaFreeHost(void* address) {
  return answer(release(address, false));
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return call([&](Runtime& all) {
    *total = settings().memory;
    *free = *total - std::min(*total, all.device_bytes);
    return cudaSuccess;
  });
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  *attributes = {cudaMemoryTypeUnregistered, -2, nullptr, nullptr};
  return call([&](Runtime& /*all*/) {
    auto* const same = const_cast<void*>(address);
    const auto* const found = find_allocation(address);
    if (found == nullptr || reinterpret_cast<std::uintptr_t>(address) - found->first == found->second.bytes) {
      attributes->hostPointer = same;
    } else if (found->second.on_device) {
      *attributes = {cudaMemoryTypeDevice, found->second.device, same, nullptr};
    } else {
      *attributes = {cudaMemoryTypeHost, found->second.device, same, same};
    }
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return copy_rows(to, bytes, from, bytes, bytes, 1, kind, nullptr, true);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return copy_rows(to, bytes, from, bytes, bytes, 1, kind, stream, false);
}
cudaError_t cudaMemcpy2D(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                         std::size_t width, std::size_t height, cudaMemcpyKind kind) {
  return copy_rows(to, to_pitch, from, from_pitch, width, height, kind, nullptr, true);
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  return copy_rows(to, to_pitch, from, from_pitch, width, height, kind, stream, false);
}
cudaError_t cudaMemset(void* address, int value, std::size_t bytes) {
  return set_bytes(address, value, bytes, nullptr);
}
cudaError_t cudaMemsetAsync(void* address, int value, std::size_t bytes, cudaStream_t stream) {
  return set_bytes(address, value, bytes, stream);
}
