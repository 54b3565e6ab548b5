// The emulated device: how many there are, and what they say of themselves.

#include <algorithm>
#include <array>
#include <string_view>

#include "emulation/state.h"

using farpoint::emulation::answer;
using farpoint::emulation::begin_call;
using farpoint::emulation::call;
using farpoint::emulation::current_device;
using farpoint::emulation::finish;
using farpoint::emulation::Runtime;
using farpoint::emulation::runtime;
using farpoint::emulation::settings;

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = settings().driver_version;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return call([&](Runtime& /*all*/) {
    *count = settings().devices;
    return cudaSuccess;
  });
}
cudaError_t cudaGetDevice(int* device) {
  const std::scoped_lock lock(runtime().mutex);
  *device = current_device;
  return answer(begin_call());
}
cudaError_t cudaSetDevice(int device) {
  return call([&](Runtime& /*all*/) {
    if (device < 0 || device >= settings().devices) {
      return cudaErrorInvalidDevice;
    }
    current_device = device;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  *properties = {};
  return call([&](Runtime& /*all*/) {
    if (device < 0 || device >= settings().devices) {
      return cudaErrorInvalidDevice;
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
  });
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
  return call([&](Runtime& all) {
    finish(all.default_stream);
    for (CUstream_st* const stream : all.streams) {
      finish(*stream);
    }
    return cudaSuccess;
  });
}
