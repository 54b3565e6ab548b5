// The one place that owns threads.
//
// A team lives for one call: nothing outlives it, so a fork between calls is harmless, two calls from
// two Python threads do not meet, and there is no global state. Workers spin briefly between phases,
// then sleep.
//
// A thread that throws for the first time allocates what the C++ library keeps of exceptions for it, and the
// loader ends the process where that fails. So every thread comes to it before the work begins, the workers
// one at a time and only while there is memory for it: those that find none leave, and the team is smaller.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/control.h"
#include "core/types.h"

namespace farpoint::cpu {

// All `members` threads meet here; a phase costs well under a microsecond when they come together.
class Barrier {
 public:
  explicit Barrier(int members) : members_(members) {}
  ~Barrier() = default;
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  void wait();

 private:
  const int members_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<unsigned> phase_{0};
};

// Threads worth starting for `work` multiply-adds: a small call is faster alone.
int useful_threads(double work, int threads);

class ThreadTeam {
 public:
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs job(thread) on every member, the calling thread as number 0, and returns when all have
  // ended. The first exception is thrown again here.
  void run(const std::function<void(int thread)>& job);

  // Runs task(thread, begin, end) over [0, count) in pieces of `grain`, handed out as they are asked
  // for. The calling thread polls `control` between pieces; a stop skips the rest.
  void for_each(Index count, Index grain, Control& control,
                const std::function<void(int thread, Index begin, Index end)>& task);

 private:
  void admit();
  bool enter(int thread);
  void work(int thread);
  void run_job(int thread);

  std::vector<std::thread> workers_;
  std::atomic<int> admitted_{0};  // workers that may come in
  std::atomic<int> ready_{0};     // and those that have
  int last_ = 0;                  // worker that may ever come in; read by those above admitted_
  const std::function<void(int)>* job_ = nullptr;
  alignas(64) std::atomic<unsigned> epoch_{0};
  alignas(64) std::atomic<int> running_{0};
  std::atomic<bool> quit_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
};

}  // namespace farpoint::cpu
