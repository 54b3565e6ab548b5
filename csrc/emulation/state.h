// What the emulated runtime knows, for the files that make it up: errors, device, memory, streams, launches.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "emulation/runtime.h"
#include "emulation/settings.h"
#include "emulation/threads.h"

namespace farpoint::emulation {

using Clock = std::chrono::steady_clock;
constexpr unsigned char kGarbage = 0xA5;

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

Runtime& runtime();

extern constinit thread_local int current_device;

// Keeps the error for cudaGetLastError, and returns it.
cudaError_t answer(cudaError_t error);

// What every call that can fail begins with; under the mutex.
cudaError_t begin_call();

// A call that can fail: body(runtime) under the mutex, unless something else is to be answered.
template <class Body>
cudaError_t call(const Body& body) {
  const std::scoped_lock lock(runtime().mutex);
  const cudaError_t error = begin_call();
  return answer(error == cudaSuccess ? body(runtime()) : error);
}

// All below under the mutex.

// The allocation that `address` lies in or just behind; null if there is none.
const std::pair<const std::uintptr_t, Allocation>* find_allocation(const void* address);

// Null if there is none. The streams that CUDA names by number are the default stream.
CUstream_st* find_stream(cudaStream_t stream);

void finish(Transfers& transfers);
void finish(CUstream_st& stream);
void queue_work(CUstream_st& stream);

}  // namespace farpoint::emulation
