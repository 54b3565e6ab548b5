// What tests choose and read about the emulated device.
#pragma once

#include <cstddef>
#include <cstdint>

namespace farpoint::emulation {

// In what order the threads of a block, and blocks, run between the points where they wait for each other:
// each as far as it can, then the next. What a kernel computes must not depend on it; where it does, a
// barrier is missing.
enum class Order { rising, falling, shuffled };

struct Settings {
  // FARPOINT_EMULATION_ORDER=rising, falling, shuffled or shuffled:SEED; rising.
  Order order = Order::rising;
  std::uint64_t seed = 1;
  int devices = 1;
  int multiprocessors = 3;
  int blocks_per_multiprocessor = 1;
  std::size_t memory = std::size_t{1} << 30;           // of the device: cudaMalloc fails beyond
  std::size_t shared_bytes = std::size_t{200} * 1024;  // a block's, at most
  // Rounds over all blocks in which threads only asked load_words again and nobody signalled: then the
  // program is ended.
  std::int64_t spin_limit = 1'000'000;
  // What cudaGetDeviceCount and the rest answer, as without a driver (cudaError_t).
  int initialization_error = 0;
  int driver_version = 13000;
  // How often cudaStreamQuery says cudaErrorNotReady after work was queued.
  int queries_until_ready = 1;
};

// Not to be changed while kernels run.
Settings& settings();

// The call of the runtime, or launch, number `calls` from now (0: the next) that can fail does, with `error`
// (cudaError_t); a negative number ends that. Calls that free things are not counted.
void fail_call(std::int64_t calls, int error);

// Device and pinned allocations that live, and the bytes of the former.
std::size_t live_allocations();
std::size_t device_bytes();
std::size_t live_streams();
std::size_t live_events();
// Kernels launched so far.
std::int64_t launches();

}  // namespace farpoint::emulation
