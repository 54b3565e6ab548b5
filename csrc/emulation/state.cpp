#include "emulation/state.h"

#include <cstdlib>
#include <string_view>

namespace farpoint::emulation {
namespace {

Settings settings_from_environment() {
  Settings result;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
  const char* const text = std::getenv("FARPOINT_EMULATION_ORDER");
  if (text == nullptr) {
    return result;
  }
  const std::string_view order = text;
  if (order == "falling") {
    result.order = Order::falling;
  } else if (order.starts_with("shuffled")) {
    result.order = Order::shuffled;
    if (order.size() > 9) {
      result.seed = std::strtoull(text + 9, nullptr, 10);
    }
  } else if (order != "rising" && !order.empty()) {
    fail("FARPOINT_EMULATION_ORDER is rising, falling, shuffled or shuffled:SEED");
  }
  return result;
}

}  // namespace

Settings& settings() {
  static Settings instance = settings_from_environment();
  return instance;
}

constinit thread_local int current_device = 0;

Runtime& runtime() {
  static Runtime instance;
  return instance;
}

cudaError_t begin_call() {
  Runtime& all = runtime();
  if (settings().initialization_error != 0) {
    return static_cast<cudaError_t>(settings().initialization_error);
  }
  if (settings().devices == 0) {
    return cudaErrorNoDevice;
  }
  if (all.calls_until_failure >= 0) {
    --all.calls_until_failure;
    if (all.calls_until_failure < 0) {
      return static_cast<cudaError_t>(all.failure);
    }
  }
  return cudaSuccess;
}

void fail_call(std::int64_t calls, int error) {
  const std::scoped_lock lock(runtime().mutex);
  runtime().calls_until_failure = calls;
  runtime().failure = error;
}

std::size_t live_allocations() {
  const std::scoped_lock lock(runtime().mutex);
  return runtime().allocations.size();
}
std::size_t device_bytes() {
  const std::scoped_lock lock(runtime().mutex);
  return runtime().device_bytes;
}
std::size_t live_streams() {
  const std::scoped_lock lock(runtime().mutex);
  return runtime().streams.size();
}
std::size_t live_events() {
  const std::scoped_lock lock(runtime().mutex);
  return runtime().events.size();
}
std::int64_t launches() {
  const std::scoped_lock lock(runtime().mutex);
  return runtime().launches;
}

}  // namespace farpoint::emulation
