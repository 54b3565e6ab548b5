// The seam under the device code: CUDA, or the emulation of it in csrc/emulation/, which runs the very same
// kernels on a processor, thread by thread, for tests on machines without a GPU.
//
// Kernels keep to what both sides offer, and to these rules, so that one source means the same on both:
//
//   - shared memory is one struct a kernel, reached by shared_memory<T>(); its size is an argument of
//   launch();
//   - kernels are launched by launch(), never by <<< >>>;
//   - PTX stands in csrc/cuda/instructions.h alone, behind functions that the emulation has too;
//   - warps are 32 threads, blocks are one-dimensional.
#pragma once

#if defined(FARPOINT_EMULATE_CUDA)

#include "emulation/device.h"

#else

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace farpoint::cuda {

struct LaunchShape {
  std::int64_t blocks = 1;
  int threads = 1;
  std::size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
  bool cooperative = false;  // all blocks are on the device at once, so that they may wait for each other
};

#if defined(__CUDACC__)

// The block's dynamic shared memory; the same for every T. What is asked for beyond a T lies behind it.
template <class T>
__device__ inline T& shared_memory() {
  extern __shared__ __align__(16) unsigned char farpoint_shared_memory[];
  return *reinterpret_cast<T*>(farpoint_shared_memory);
}

template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), const LaunchShape& shape, Arguments&&... arguments) {
  if (shape.blocks == 0) {
    return cudaSuccess;
  }
  if (shape.shared_bytes > std::size_t{48} * 1024) {
    // The limit belongs to the kernel, not to the launch: always the device's, so that calls of other
    // threads, with other sizes, find it as they need it.
    int device = 0;
    int most = 0;
    cudaError_t error = cudaGetDevice(&device);
    if (error == cudaSuccess) {
      error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    }
    if (error == cudaSuccess) {
      error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
    }
    if (error != cudaSuccess) {
      return error;
    }
  }
  cudaLaunchAttribute attribute;
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
  config.blockDim = dim3(static_cast<unsigned>(shape.threads));
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = shape.stream;
  config.attrs = &attribute;
  config.numAttrs = shape.cooperative ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

#endif  // __CUDACC__

}  // namespace farpoint::cuda

#endif
