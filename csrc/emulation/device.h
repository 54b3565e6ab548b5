// CUDA, emulated: what csrc/cuda/ is compiled against when FARPOINT_EMULATE_CUDA is defined. The very same
// kernels then run on a processor, thread by thread, for tests on machines without a GPU.
//
//   types.h         words of the language, vector types
//   threads.h       the threads of a block, barriers                         (over fiber.h)
//   warp.h          what the lanes of a warp do together
//   atomics.h       atomic operations, fences
//   arithmetic.h    arithmetic, rounded one operation at a time
//   instructions.h  the functions of cuda/instructions.h
//   runtime.h       the host's side: memory, streams, events, errors
//   settings.h      what tests choose: the order of threads, sizes, failures
//
// Kernels are compiled as ordinary C++: g++ -x c++ -DFARPOINT_EMULATE_CUDA -Wno-unknown-pragmas.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "emulation/arithmetic.h"
#include "emulation/atomics.h"
#include "emulation/instructions.h"
#include "emulation/runtime.h"
#include "emulation/settings.h"
#include "emulation/threads.h"
#include "emulation/types.h"
#include "emulation/warp.h"

namespace farpoint::cuda {

struct LaunchShape {
  std::int64_t blocks = 1;
  int threads = 1;
  std::size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
  bool cooperative = false;  // all blocks are on the device at once, so that they may wait for each other
  emulation::Site site = emulation::Site::current();  // for messages
};

// The block's dynamic shared memory; the same for every T.
template <class T>
T& shared_memory() {
  static_assert(alignof(T) <= 16);
  const emulation::ThreadView& thread = *emulation::current_thread;
  if (sizeof(T) > thread.shared_bytes) {
    emulation::fail("asks for " + std::to_string(sizeof(T)) + " bytes of shared memory; the launch gave " +
                    std::to_string(thread.shared_bytes));
  }
  return *reinterpret_cast<T*>(thread.shared);
}

template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), const LaunchShape& shape, Arguments&&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...), "kernels take their arguments bit by bit");
  if (shape.blocks == 0) {
    return cudaSuccess;
  }
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> arguments;
  };
  const Call call{kernel, {static_cast<Parameters>(arguments)...}};
  const auto check = [](const auto& argument) {
    if constexpr (std::is_pointer_v<std::remove_cvref_t<decltype(argument)>>) {
      if (!emulation::device_may_have(static_cast<const void*>(argument))) {
        emulation::fail("a kernel is given a pointer to memory that is not the device's");
      }
    }
  };
  std::apply([&](const auto&... each) { (check(each), ...); }, call.arguments);
  emulation::Launch launch;
  launch.blocks = shape.blocks;
  launch.threads = shape.threads;
  launch.shared_bytes = shape.shared_bytes;
  launch.cooperative = shape.cooperative;
  launch.site = shape.site;
  launch.kernel = &call;
  launch.run_thread = [](const void* data) {
    const Call& the_call = *static_cast<const Call*>(data);
    std::apply(the_call.kernel, the_call.arguments);
  };
  return emulation::launch(launch, shape.stream);
}

}  // namespace farpoint::cuda
