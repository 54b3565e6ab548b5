#include "cpu/thread_team.h"

#include <sys/mman.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <system_error>
#include <utility>

#include "core/tuning.h"

namespace farpoint::cpu {
namespace {

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `value` differs from `old`: spins, yields, sleeps.
template <class T>
void wait_for_change(const std::atomic<T>& value, T old) {
  for (int i = 0; i < tuning::kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) {
      return;
    }
    pause();
  }
  for (int i = 0; i < tuning::kYields; ++i) {
    if (value.load(std::memory_order_acquire) != old) {
      return;
    }
    std::this_thread::yield();
  }
  value.wait(old, std::memory_order_acquire);
}

// Makes the calling thread's share of the C++ library's exception state exist.
void prepare_to_throw() {
  // The function is declared pure: a result that nobody takes is never asked for.
  [[maybe_unused]] const volatile int exceptions = std::uncaught_exceptions();
}

// Whether the address space has room for what a thread allocates when it first throws.
bool room_to_throw() {
  void* const room = ::mmap(nullptr, tuning::kRoomToThrow, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) {  // NOLINT(performance-no-int-to-ptr): the macro is the system's
    return false;
  }
  ::munmap(room, tuning::kRoomToThrow);
  return true;
}

}  // namespace

void Barrier::wait() {
  if (members_ == 1) {
    return;
  }
  const unsigned phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members_) {
    // Reset before the release: nobody arrives for the next phase until it is seen.
    arrived_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    phase_.notify_all();
  } else {
    wait_for_change(phase_, phase);
  }
}

int useful_threads(double work, int threads) {
  return static_cast<int>(std::clamp(work / tuning::kWorkPerThread, 1.0, static_cast<double>(threads)));
}

ThreadTeam::ThreadTeam(int threads) {
  prepare_to_throw();
  const int others = std::max(threads, 1) - 1;
  workers_.reserve(static_cast<std::size_t>(others));
  try {
    for (int i = 1; i <= others; ++i) {
      workers_.emplace_back([this, i] { work(i); });
    }
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
  } catch (const std::bad_alloc&) {     // NOLINT(bugprone-empty-catch)
    // No more threads to be had: a smaller team gives the same result.
  }
  admit();
}

// All have started; what they do not yet do is allocate.
void ThreadTeam::admit() {
  const int started = static_cast<int>(workers_.size());
  while (last_ < started && room_to_throw()) {
    ++last_;
    admitted_.store(last_, std::memory_order_release);
    admitted_.notify_all();
    for (int ready = last_ - 1; ready != last_; ready = ready_.load(std::memory_order_acquire)) {
      wait_for_change(ready_, ready);
    }
  }
  if (last_ < started) {
    admitted_.store(std::numeric_limits<int>::max(), std::memory_order_release);
    admitted_.notify_all();
    for (int worker = last_; worker < started; ++worker) {
      workers_[static_cast<std::size_t>(worker)].join();
    }
    workers_.resize(static_cast<std::size_t>(last_));
  }
}

bool ThreadTeam::enter(int thread) {
  for (int admitted = admitted_.load(std::memory_order_acquire); admitted < thread;
       admitted = admitted_.load(std::memory_order_acquire)) {
    wait_for_change(admitted_, admitted);
  }
  // Admitted as one of the last_ while the others still wait, or let go with everyone.
  if (admitted_.load(std::memory_order_acquire) == std::numeric_limits<int>::max() && thread > last_) {
    return false;
  }
  prepare_to_throw();
  ready_.store(thread, std::memory_order_release);
  ready_.notify_one();
  return true;
}

ThreadTeam::~ThreadTeam() {
  quit_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& worker : workers_) {
    worker.join();
  }
}

void ThreadTeam::run_job(int thread) {
  try {
    (*job_)(thread);
  } catch (...) {
    const std::scoped_lock lock(error_mutex_);
    if (!error_) {
      error_ = std::current_exception();
    }
  }
}

void ThreadTeam::work(int thread) {
  if (!enter(thread)) {
    return;
  }
  unsigned seen = 0;
  while (true) {
    wait_for_change(epoch_, seen);
    ++seen;  // every epoch is waited for by every worker, so none is skipped
    if (quit_.load(std::memory_order_relaxed)) {
      return;
    }
    run_job(thread);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      running_.notify_one();
    }
  }
}

void ThreadTeam::run(const std::function<void(int)>& job) {
  job_ = &job;
  running_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  run_job(0);
  for (int left = running_.load(std::memory_order_acquire); left != 0;
       left = running_.load(std::memory_order_acquire)) {
    wait_for_change(running_, left);
  }
  if (error_) {
    std::rethrow_exception(std::exchange(error_, nullptr));
  }
}

void ThreadTeam::for_each(Index count, Index grain, Control& control,
                          const std::function<void(int, Index, Index)>& task) {
  const Index step = std::max<Index>(grain, 1);
  if (size() == 1 || count <= step) {
    for (Index begin = 0; begin < count && !control.poll(); begin += step) {
      task(0, begin, std::min(begin + step, count));
    }
    return;
  }
  std::atomic<Index> next{0};
  run([&](int thread) {
    while (thread == 0 ? !control.poll() : !control.stopped()) {
      const Index begin = next.fetch_add(step, std::memory_order_relaxed);
      if (begin >= count) {
        return;
      }
      task(thread, begin, std::min(begin + step, count));
    }
  });
}

}  // namespace farpoint::cpu
