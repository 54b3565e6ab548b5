// The threads of a kernel, each a fiber, and how they wait for each other.
//
// A launch runs on the operating-system thread that calls it, to its end. Blocks of an ordinary launch run
// one after the other; those of a cooperative launch are all live, and take turns when all threads of one
// wait. A thread runs until it waits: at a barrier, in an operation of its warp, or in load_acquire, which
// gives the others a chance. Which thread is next is settings().order's.
//
// Programs that real hardware would hang on or give any result for are ended with a message: a barrier that
// part of a block does not reach, lanes of a warp that meet in different operations, waiting for what never
// comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>

#include "emulation/types.h"

namespace farpoint::emulation {

using Site = std::source_location;
constexpr unsigned kWarpSize = 32;

// What device code sees of its thread.
struct ThreadView {
  uint3 thread{};
  uint3 block{};
  dim3 block_size;
  dim3 grid_size;
  unsigned lane = 0;
  unsigned char* shared = nullptr;
  std::size_t shared_bytes = 0;
};

// The device thread that runs on this operating-system thread now; none in host code.
extern constinit thread_local const ThreadView* current_thread;

// Ends the program, naming the thread that runs now.
[[noreturn]] void fail(const std::string& message);

struct Launch {
  std::int64_t blocks = 1;
  int threads = 1;
  std::size_t shared_bytes = 0;
  bool cooperative = false;
  Site site;
  void (*run_thread)(const void* kernel) = nullptr;
  const void* kernel = nullptr;
};

// Returns when every thread has.
void run(const Launch& launch);

// All threads of the block meet; how many came with `flag`.
int meet_block(bool flag, const char* operation, const Site& site);

// The lanes of `mask` meet, each with something of its own (`mine`). The last to arrive gets what every lane
// brought, by lane, works on it and calls release_lanes; the others get null, after that.
void* const* meet_lanes(unsigned mask, void* mine, const char* operation, const Site& site);
void release_lanes(unsigned mask);

// The others run before this thread does again.
void give_way(const char* operation, const Site& site);
// A thread changed what another may be waiting for.
void signal_progress();
// It tried, and nothing changed; now and then gives way, so that waiting by atomics ends.
void futile_attempt(const char* operation, const Site& site);

// Copies from global to shared memory that arrive when they are waited for.
void begin_copy(void* to_shared, const void* from_global);
void commit_copies();
void await_copies(std::size_t pending);

// `bytes` at `address` lie in the block's shared memory.
bool is_shared(const void* address, std::size_t bytes);

}  // namespace farpoint::emulation

// NOLINTBEGIN(readability-identifier-naming)
#define threadIdx (::farpoint::emulation::current_thread->thread)
#define blockIdx (::farpoint::emulation::current_thread->block)
#define blockDim (::farpoint::emulation::current_thread->block_size)
#define gridDim (::farpoint::emulation::current_thread->grid_size)
constexpr int warpSize = 32;
// NOLINTEND(readability-identifier-naming)

// NOLINTBEGIN(bugprone-reserved-identifier): CUDA's names
inline void __syncthreads(const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  farpoint::emulation::meet_block(false, "__syncthreads", site);
}
inline int __syncthreads_count(int predicate,
                               const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::meet_block(predicate != 0, "__syncthreads_count", site);
}
inline int __syncthreads_or(int predicate,
                            const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::meet_block(predicate != 0, "__syncthreads_or", site) > 0 ? 1 : 0;
}
inline int __syncthreads_and(int predicate,
                             const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::meet_block(predicate == 0, "__syncthreads_and", site) > 0 ? 0 : 1;
}
// NOLINTEND(bugprone-reserved-identifier)
