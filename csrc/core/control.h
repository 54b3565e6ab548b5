// Per-call control: whether to stop, and who wants to hear of progress. No global state.
//
// The calling thread calls poll() often (it costs a clock read); at most every `period` it runs the
// caller's function, which may report progress, look for signals, and answer that the call shall end.
// Worker threads only look at stopped(). Unwinding is by the exception Interrupted.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <span>

#include "core/types.h"

namespace farpoint {

class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

class Control {
 public:
  using Clock = std::chrono::steady_clock;
  // What is picked so far, and at which stored values.
  struct Progress {
    std::span<const Index> picks;
    std::span<const double> values;
  };
  // Returns false when the call shall stop. Runs on the calling thread only. What it throws stops the call
  // too, and is thrown again at its end.
  using Listener = std::function<bool(const Progress&)>;

  explicit Control(Listener listener = {}, Clock::duration period = std::chrono::milliseconds(50))
      : listener_(std::move(listener)), period_(period), next_(Clock::now() + period) {}

  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

  // Calling thread only. The spans must live until the next call, or as long as this is polled.
  void set_progress(std::span<const Index> picks, std::span<const double> values) {
    progress_ = {picks, values};
  }

  // Calling thread only. True when the call shall stop. Does not throw: the other threads may be waiting for
  // this one at a barrier.
  bool poll() noexcept {
    if (listener_ && !stopped()) {
      const auto now = Clock::now();
      if (now >= next_) {
        next_ = now + period_;
        if (!listen()) {
          stopped_.store(true, std::memory_order_relaxed);
        }
      }
    }
    return stopped();
  }

  // Calling thread only.
  void throw_if_stopped() const {
    if (failure_) {
      std::rethrow_exception(failure_);
    }
    if (stopped()) {
      throw Interrupted();
    }
  }

 private:
  bool listen() noexcept {
    try {
      return listener_(progress_);
    } catch (...) {
      failure_ = std::current_exception();
      return false;
    }
  }

  Listener listener_;
  Clock::duration period_;
  Clock::time_point next_;
  Progress progress_;
  std::exception_ptr failure_;
  std::atomic<bool> stopped_{false};
};

}  // namespace farpoint
