// The threads of a kernel, each a fiber, and how they wait for each other.
//
// A launch runs on the operating-system thread that calls it, to its end. Blocks of an ordinary launch run
// one after the other; those of a cooperative launch are all live, and take turns when all threads of one
// wait. A thread runs until it waits: at a barrier, in an operation of its warp, or in load_words, which
// gives the others a chance. Which thread is next is settings().order's.
//
// Programs that real hardware would hang on or give any result for are ended with a message: a barrier that
// part of a block does not reach, lanes of a warp that meet in different operations, waiting for what never
// comes.
//
// To ThreadSanitizer device threads are threads of their own, whose memory is ordered by what orders it on
// hardware: barriers, __syncwarp, fences, and the ends of a launch; not by shuffles and votes. So it reports
// the races of kernels, in whatever order the threads happened to run, but for those between blocks that ran
// one after the other. fiber.cpp and threads.cpp themselves are to be compiled without it
// (-fno-sanitize=thread -DFARPOINT_RACES).
#pragma once

#include <array>
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

// The lanes of `mask` meet. `memory`: what each wrote before, all see after.
void meet_lanes(unsigned mask, bool memory, const char* operation, const Site& site);
// They meet, and each gets the word of lane `source`.
std::uint64_t shuffle(unsigned mask, std::uint64_t word, unsigned source, const char* operation,
                      const Site& site);
// They meet, and `all`, by lane, gets every lane's word.
using Words = std::array<std::uint64_t, kWarpSize>;
void gather(unsigned mask, std::uint64_t word, Words& all, const char* operation, const Site& site);
// Those whose predicate holds.
unsigned ballot(unsigned mask, bool predicate, const char* operation, const Site& site);

using Row = std::array<std::uint32_t, 4>;
// Lane l brings row l % 8 of matrix l / 8; it gets word l % 4 of row l / 4 of each.
Row transpose_rows(const Row& row, const char* operation, const Site& site);
// What lane l gets of the product of 16 x 32 and 32 x 8 bytes, in the layout of cuda/instructions.h.
Row multiply_bytes(const Row& a, const std::array<std::uint32_t, 2>& b, const char* operation,
                   const Site& site);

// The others run before this thread does again.
void give_way(const char* operation, const Site& site);
// A thread changed what another may be waiting for.
void signal_progress();
// It tried, and nothing changed; now and then gives way, so that waiting by atomics ends.
void futile_attempt(const char* operation, const Site& site);

// Memory is ordered between threads that call this, in the order of their calls.
void fence();

// Copies from global to shared memory that arrive when they are waited for.
void begin_copy(void* to_shared, const void* from_global);
void commit_copies();
void await_copies(std::size_t pending);

// `bytes` at `address` lie in the block's shared memory.
bool is_shared(const void* address, std::size_t bytes);

}  // namespace farpoint::emulation

#define threadIdx (::farpoint::emulation::current_thread->thread)
#define blockIdx (::farpoint::emulation::current_thread->block)
#define blockDim (::farpoint::emulation::current_thread->block_size)
#define gridDim (::farpoint::emulation::current_thread->grid_size)
constexpr int warpSize = 32;

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): CUDA's names
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
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
