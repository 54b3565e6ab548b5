// Streams and events, which order nothing: they are waited for, and what is waited for arrives.

#include <chrono>
#include <memory>

#include "emulation/state.h"

namespace farpoint::emulation {

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

}  // namespace farpoint::emulation

using farpoint::emulation::answer;
using farpoint::emulation::call;
using farpoint::emulation::Clock;
using farpoint::emulation::find_stream;
using farpoint::emulation::finish;
using farpoint::emulation::Runtime;
using farpoint::emulation::runtime;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  *stream = nullptr;
  return call([&](Runtime& all) {
    auto made = std::make_unique<CUstream_st>();
    made->blocking = (flags & cudaStreamNonBlocking) == 0;
    all.streams.insert(made.get());
    *stream = made.release();
    return cudaSuccess;
  });
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
  return call([&](Runtime& /*all*/) {
    CUstream_st* const found = find_stream(stream);
    if (found == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    finish(*found);
    return cudaSuccess;
  });
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return call([&](Runtime& /*all*/) {
    CUstream_st* const found = find_stream(stream);
    if (found == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (found->queries_until_ready > 0) {
      --found->queries_until_ready;
      return cudaErrorNotReady;
    }
    finish(*found);
    return cudaSuccess;
  });
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned /*flags*/) {
  return call([&](Runtime& all) {
    CUstream_st* const found = find_stream(stream);
    if (found == nullptr || !all.events.contains(event)) {
      return cudaErrorInvalidResourceHandle;
    }
    found->transfers.insert(found->transfers.end(), event->transfers.begin(), event->transfers.end());
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = nullptr;
  return call([&](Runtime& all) {
    auto made = std::make_unique<CUevent_st>();
    made->timed = (flags & cudaEventDisableTiming) == 0;
    all.events.insert(made.get());
    *event = made.release();
    return cudaSuccess;
  });
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
  return call([&](Runtime& all) {
    CUstream_st* const found = find_stream(stream);
    if (found == nullptr || !all.events.contains(event)) {
      return cudaErrorInvalidResourceHandle;
    }
    event->recorded = true;
    event->time = Clock::now();
    event->queries_until_ready = found->queries_until_ready;
    event->transfers = found->transfers;
    return cudaSuccess;
  });
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call([&](Runtime& all) {
    if (!all.events.contains(event)) {
      return cudaErrorInvalidResourceHandle;
    }
    if (event->queries_until_ready > 0) {
      --event->queries_until_ready;
      return cudaErrorNotReady;
    }
    finish(event->transfers);
    return cudaSuccess;
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call([&](Runtime& all) {
    if (!all.events.contains(event)) {
      return cudaErrorInvalidResourceHandle;
    }
    event->queries_until_ready = 0;
    finish(event->transfers);
    return cudaSuccess;
  });
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
