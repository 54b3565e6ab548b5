// Launches of kernels.

#include "emulation/state.h"

namespace farpoint::emulation {

cudaError_t launch(const Launch& launch, cudaStream_t handle) {
  const cudaError_t error = call([&](Runtime& all) {
    CUstream_st* const stream = find_stream(handle);
    if (stream == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (launch.blocks < 0 || launch.blocks > 0x7fffffff || launch.threads < 1 || launch.threads > 1024) {
      return cudaErrorInvalidConfiguration;
    }
    const Settings& device = settings();
    if (launch.shared_bytes > device.shared_bytes) {
      return cudaErrorInvalidValue;
    }
    if (launch.cooperative &&
        launch.blocks > std::int64_t{device.multiprocessors} * device.blocks_per_multiprocessor) {
      return cudaErrorCooperativeLaunchTooLarge;
    }
    queue_work(*stream);
    all.launches += 1;
    return cudaSuccess;
  });
  if (error != cudaSuccess) {
    return error;
  }
  const DeviceAccess access;
  run(launch);
  return cudaSuccess;
}

cudaError_t set_attribute(const void* function, cudaFuncAttribute attribute, int value) {
  return call([&](Runtime& /*all*/) {
    if (function == nullptr) {
      return cudaErrorInvalidDeviceFunction;
    }
    if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize &&
        (value < 0 || static_cast<std::size_t>(value) > settings().shared_bytes)) {
      return cudaErrorInvalidValue;
    }
    return cudaSuccess;
  });
}

cudaError_t occupancy(int* blocks, int threads, std::size_t shared_bytes) {
  return call([&](Runtime& /*all*/) {
    *blocks =
        threads > 1024 || shared_bytes > settings().shared_bytes ? 0 : settings().blocks_per_multiprocessor;
    return cudaSuccess;
  });
}

}  // namespace farpoint::emulation
