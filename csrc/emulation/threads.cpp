#include "emulation/threads.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <numeric>
#include <vector>

#include "emulation/fiber.h"
#include "emulation/settings.h"

#if defined(FARPOINT_INSTRUMENTED_FOR_RACES)
#error "compile this file with -fno-sanitize=thread -DFARPOINT_RACES"
#endif
#if defined(FARPOINT_RACES)
#include <sanitizer/tsan_interface.h>
extern "C" {
void __tsan_read16(void* address);
void __tsan_write16(void* address);
}
#endif

namespace farpoint::emulation {

constinit thread_local const ThreadView* current_thread = nullptr;

namespace {

#if defined(FARPOINT_ADDRESS_SANITIZER) || defined(FARPOINT_RACES)
constexpr std::size_t kStackBytes = std::size_t{256} * 1024;  // instrumented frames are large
#else
constexpr std::size_t kStackBytes = std::size_t{64} * 1024;
#endif
constexpr unsigned char kGarbage = 0xA5;
constexpr std::size_t kSharedAlignment = 128;
constexpr int kFutileAttempts = 1000;
constexpr unsigned kAllLanes = 0xffffffffU;

// Orders memory: who takes sees what was written before by all who gave. What ThreadSanitizer is told;
// without it nothing has to be done.
class MemoryOrder {
 public:
#if defined(FARPOINT_RACES)
  static constexpr bool kTracked = true;
  void give() { __tsan_release(&place_); }
  void take() { __tsan_acquire(&place_); }

 private:
  char place_ = 0;
#else
  static constexpr bool kTracked = false;
  void give() {}
  void take() {}
#endif
};

struct Block;
struct Warp;

struct Copy {
  void* to;
  const void* from;

  // Tells the sanitizers that the ends are accessed.
  void note() const {
#if defined(FARPOINT_RACES)
    __tsan_read16(const_cast<void*>(from));
    __tsan_write16(to);
#endif
    std::array<unsigned char, 16> bytes{};
    std::memcpy(bytes.data(), from, bytes.size());
  }
};

struct Thread : ThreadView {
  Thread(Fiber::Entry entry, std::size_t number) : fiber(entry, this, kStackBytes, number) {}

  Fiber fiber;
  Block* in = nullptr;
  Warp* warp = nullptr;
  unsigned warp_number = 0;
  int futile_attempts = 0;
  // Why it gave way last.
  const char* operation = "";
  Site site;
  MemoryOrder given;   // by this thread
  MemoryOrder joined;  // by lanes that it was the last to meet
  std::vector<Copy> copies;
  std::vector<std::size_t> group_ends;  // in copies
};

// Lanes that meet in one operation.
struct Meeting {
  unsigned mask = 0;
  unsigned arrived = 0;
  const char* operation = "";
  Site site;
};

// Sets of lanes are bit masks.
struct Warp {
  unsigned live = 0;     // exist and have not returned
  unsigned ready = 0;    // may run
  unsigned yielded = 0;  // may run when it is the block's turn again
  unsigned open = 0;     // meetings, of those below
  std::array<Meeting, kWarpSize> meetings;
  std::array<void*, kWarpSize> brought{};
};

struct SharedDelete {
  void operator()(unsigned char* bytes) const {
    ::operator delete(bytes, std::align_val_t{kSharedAlignment});
  }
};

struct Block {
  const std::unique_ptr<Thread>* threads = nullptr;  // the first of the slot's
  unsigned index = 0;
  unsigned size = 0;
  unsigned returned = 0;  // threads
  unsigned arrived = 0;   // threads at the barrier
  int flags = 0;          // of those
  int result = 0;         // of the barrier before
  const char* operation = "";
  Site site;
  unsigned ready_warps = 0;    // with lanes that are ready
  unsigned yielded_warps = 0;  // with lanes that yielded
  unsigned barriers = 0;       // so far
  std::array<MemoryOrder, 2>
      at_barrier;  // of even and odd number: the next may have begun when one still leaves
  MemoryOrder at_start;
  MemoryOrder at_return;
  std::array<Warp, kWarpSize> warps;  // at most 1024 threads
  std::unique_ptr<unsigned char, SharedDelete> shared;
  std::size_t shared_bytes = 0;
};

bool same_place(const Site& a, const Site& b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}
// Of one call: mostly, both are the very same constants.
inline bool same(const char* operation_a, const Site& a, const char* operation_b, const Site& b) {
  return (operation_a == operation_b || std::strcmp(operation_a, operation_b) == 0) &&
         (std::memcmp(&a, &b, sizeof a) == 0 || same_place(a, b));
}

std::string describe(const Site& site) {
  return std::string(site.file_name()) + ":" + std::to_string(site.line());
}
std::string describe(const char* operation, const Site& site) {
  return std::string(operation) + " at " + describe(site);
}
std::string describe_mask(unsigned mask) {
  std::array<char, 16> text{};
  static_cast<void>(std::snprintf(text.data(), text.size(), "0x%08x", mask));
  return text.data();
}
// What ends the program stands apart from what is run often, whose stack frames it would make large.

[[noreturn, gnu::cold, gnu::noinline]] void fail_to_return(const char* who, const char* operation,
                                                           const Site& site) {
  fail("returns, but " + std::string(who) + " wait for it in " + describe(operation, site));
}
[[noreturn, gnu::cold, gnu::noinline]] void fail_to_meet(const char* operation, const Site& site,
                                                         const std::string& problem) {
  fail("waits in " + describe(operation, site) + problem);
}
[[noreturn, gnu::cold, gnu::noinline]] void fail_to_meet_block(const Block& block, const char* operation,
                                                               const Site& site) {
  fail_to_meet(operation, site,
               block.returned > 0
                   ? ", but " + std::to_string(block.returned) + " threads of its block have returned"
                   : ", but other threads of its block wait in " + describe(block.operation, block.site));
}
[[noreturn, gnu::cold, gnu::noinline]] void fail_to_meet_lanes(const Warp& warp, unsigned mask, unsigned lane,
                                                               const char* operation, const Site& site) {
  const unsigned missing = mask & ~warp.live;
  fail_to_meet(operation, site,
               (mask >> lane & 1U) == 0
                   ? " with mask " + describe_mask(mask) + ", which it is not in"
                   : " for lanes " + describe_mask(missing) + ", which have returned or do not exist");
}
[[noreturn, gnu::cold, gnu::noinline]] void fail_to_meet_others(const Meeting& meeting, const char* operation,
                                                                const Site& site) {
  fail_to_meet(operation, site,
               ", but lanes " + describe_mask(meeting.arrived) + " of its warp wait in " +
                   describe(meeting.operation, meeting.site));
}

[[noreturn, gnu::cold, gnu::noinline]] void fail_to_read_lane(unsigned lane, const char* operation,
                                                              const Site& site) {
  fail("or another lane of its warp reads lane " + std::to_string(lane) + ", which is not in the mask, in " +
       describe(operation, site));
}

// One for each operating-system thread that launches. Its fibers never leave it.
class Scheduler {
 public:
  Scheduler() { host_.adopt_current_stack(); }

  void run(const Launch& launch);
  int meet_block(bool flag, const char* operation, const Site& site);
  void* const* meet_lanes(unsigned mask, void* mine, const char* operation, const Site& site);
  static void release_lanes(unsigned mask);
  void give_way(const char* operation, const Site& site);
  void signal_progress() { futile_turns_ = 0; }
  const Launch& launch() const { return *launch_; }

 private:
  static void thread_main(void* argument);
  void start_block(Block& block);
  void thread_returns();
  std::uint64_t random();
  std::int64_t random_step(std::int64_t count);
  unsigned pick(unsigned mask);
  unsigned pick_any(unsigned mask);
  // The thread to run next, or null when all have returned.
  Thread* next();
  Thread* next_of(Block& block);
  Thread* next_elsewhere();
  void wake_yielded(Block& block);
  // Runs others until this thread is ready again.
  void wait();
  [[noreturn, gnu::cold, gnu::noinline]] void fail_for_deadlock();
  [[noreturn, gnu::cold, gnu::noinline]] void fail_for_spinning();

  Context host_;
  std::vector<std::unique_ptr<Thread>> threads_;  // of the block in slot s: from s * launch.threads on
  std::vector<std::unique_ptr<Block>> blocks_;    // by slot: those that are live at once
  const Launch* launch_ = nullptr;
  Order order_ = Order::rising;
  std::uint64_t random_state_ = 1;
  std::size_t slots_ = 0;
  std::size_t unfinished_ = 0;  // slots
  std::size_t turn_ = 0;        // the slot that runs
  Block* running_ = nullptr;    // its block
  std::size_t turn_step_ = 1;
  std::int64_t futile_turns_ = 0;  // in a row: nobody signalled
  std::int64_t started_ = 0;       // blocks
  std::int64_t first_block_ = 0;
  std::int64_t block_step_ = 1;
};

// The scheduler while it runs a launch.
constinit thread_local Scheduler* active = nullptr;

Thread& self() {
  return const_cast<Thread&>(static_cast<const Thread&>(*current_thread));
}

std::uint64_t Scheduler::random() {
  random_state_ ^= random_state_ << 13;
  random_state_ ^= random_state_ >> 7;
  random_state_ ^= random_state_ << 17;
  return random_state_ >> 11;
}

// Steps of this size, modulo count, visit everything.
std::int64_t Scheduler::random_step(std::int64_t count) {
  while (true) {
    const auto step = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(count)) + 1;
    if (std::gcd(step, count) == 1) {
      return step;
    }
  }
}

inline unsigned Scheduler::pick(unsigned mask) {
  if (mask == 0) {
    __builtin_unreachable();
  }
  if (order_ == Order::rising) {
    return static_cast<unsigned>(std::countr_zero(mask));
  }
  return order_ == Order::falling ? 31U - static_cast<unsigned>(std::countl_zero(mask)) : pick_any(mask);
}

unsigned Scheduler::pick_any(unsigned mask) {
  const auto turn = static_cast<int>(random() % kWarpSize);
  return (static_cast<unsigned>(std::countr_zero(std::rotr(mask, turn))) + static_cast<unsigned>(turn)) %
         kWarpSize;
}

void Scheduler::thread_main(void* argument) {
  const Thread& me = *static_cast<const Thread*>(argument);
  while (true) {
    me.in->at_start.take();
    const Launch& launch = active->launch();
    launch.run_thread(launch.kernel);
    active->thread_returns();
  }
}

void Scheduler::start_block(Block& block) {
  block.at_return.take();
  const std::int64_t blocks = launch_->blocks;
  block.index = static_cast<unsigned>((first_block_ + started_ * block_step_) % blocks);
  ++started_;
  block.size = static_cast<unsigned>(launch_->threads);
  block.returned = 0;
  block.arrived = 0;
  block.yielded_warps = 0;
  block.ready_warps = 0;
  if (launch_->shared_bytes > 0) {
    std::memset(block.shared.get(), kGarbage, launch_->shared_bytes);
  }
  for (unsigned first = 0; first < block.size; first += kWarpSize) {
    const unsigned lanes = std::min(kWarpSize, block.size - first);
    Warp& warp = block.warps[first / kWarpSize];
    warp.live = ~0U >> (kWarpSize - lanes);
    warp.ready = warp.live;
    warp.yielded = 0;
    warp.open = 0;
    block.ready_warps |= 1U << (first / kWarpSize);
  }
  for (unsigned i = 0; i < block.size; ++i) {
    Thread& t = *block.threads[i];
    t.thread = {i, 0, 0};
    t.block = {block.index, 0, 0};
    t.block_size = dim3(block.size);
    t.grid_size = dim3(static_cast<unsigned>(blocks));
    t.lane = i % kWarpSize;
    t.shared = block.shared.get();
    t.shared_bytes = launch_->shared_bytes;
    t.in = &block;
    t.warp = &block.warps[i / kWarpSize];
    t.warp_number = i / kWarpSize;
    t.futile_attempts = 0;
    t.copies.clear();
    t.group_ends.clear();
  }
  block.at_start.give();
}

void Scheduler::run(const Launch& launch) {
  launch_ = &launch;
  order_ = settings().order;
  random_state_ = (settings().seed + 1) * 0x9e3779b97f4a7c15U | 1U;
  first_block_ = 0;
  block_step_ = 1;
  turn_step_ = 1;
  slots_ = launch.cooperative ? static_cast<std::size_t>(launch.blocks) : 1;
  if (order_ == Order::falling) {
    first_block_ = launch.blocks - 1;
    block_step_ = launch.blocks > 1 ? launch.blocks - 1 : 1;
  } else if (order_ == Order::shuffled) {
    first_block_ = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(launch.blocks));
    block_step_ = random_step(launch.blocks);
    turn_step_ = static_cast<std::size_t>(random_step(static_cast<std::int64_t>(slots_)));
  }
  started_ = 0;
  turn_ = 0;
  futile_turns_ = 0;
  unfinished_ = slots_;

  while (blocks_.size() < slots_) {
    blocks_.push_back(std::make_unique<Block>());
  }
  while (threads_.size() < slots_ * static_cast<std::size_t>(launch.threads)) {
    threads_.push_back(std::make_unique<Thread>(&Scheduler::thread_main, threads_.size()));
  }
  for (std::size_t s = 0; s < slots_; ++s) {
    Block& block = *blocks_[s];
    block.threads = &threads_[s * static_cast<std::size_t>(launch.threads)];
    // Of exactly the size asked for, so that AddressSanitizer sees what goes beyond.
    if (block.shared_bytes != launch.shared_bytes) {
      block.shared.reset(launch.shared_bytes == 0
                             ? nullptr
                             : static_cast<unsigned char*>(
                                   ::operator new(launch.shared_bytes, std::align_val_t{kSharedAlignment})));
      block.shared_bytes = launch.shared_bytes;
    }
    start_block(block);
  }
  running_ = blocks_[turn_].get();
  active = this;
  if (Thread* const first = next()) {
    current_thread = first;
    host_.switch_to(first->fiber);
  }
  for (std::size_t s = 0; s < slots_; ++s) {
    blocks_[s]->at_return.take();
  }
  active = nullptr;
  launch_ = nullptr;
}

inline Thread* Scheduler::next() {
  Block& block = *running_;
  return block.ready_warps != 0 ? next_of(block) : next_elsewhere();
}

inline Thread* Scheduler::next_of(Block& block) {
  const unsigned w = pick(block.ready_warps);
  Warp& warp = block.warps[w];
  const unsigned lane = pick(warp.ready);
  warp.ready &= ~(1U << lane);
  if (warp.ready == 0) {
    block.ready_warps &= ~(1U << w);
  }
  return block.threads[w * kWarpSize + lane].get();
}

Thread* Scheduler::next_elsewhere() {
  std::size_t idle_turns = 0;
  while (running_->ready_warps == 0) {
    Block& block = *running_;
    if (block.returned == block.size) {
      if (started_ < launch_->blocks) {
        start_block(block);
        continue;
      }
      // Counted once.
      block.size = 0;
      block.returned = 1;
      if (--unfinished_ == 0) {
        return nullptr;
      }
    }
    turn_ = (turn_ + turn_step_) % slots_;
    running_ = blocks_[turn_].get();
    if (running_->yielded_warps != 0) {
      wake_yielded(*running_);
    } else if (++idle_turns > slots_) {
      fail_for_deadlock();
    }
  }
  return next_of(*running_);
}

void Scheduler::wake_yielded(Block& block) {
  if (++futile_turns_ > settings().spin_limit * static_cast<std::int64_t>(slots_)) {
    fail_for_spinning();
  }
  block.ready_warps |= block.yielded_warps;
  for (unsigned set = block.yielded_warps; set != 0; set &= set - 1) {
    Warp& warp = block.warps[static_cast<unsigned>(std::countr_zero(set))];
    warp.ready |= warp.yielded;
    warp.yielded = 0;
  }
  block.yielded_warps = 0;
}

inline void Scheduler::wait() {
  Thread& me = self();
  Thread* const to = next();
  if (to != &me) {
    current_thread = to;
    me.fiber.switch_to(to->fiber);
  }
}

void Scheduler::thread_returns() {
  Thread& me = self();
  Block& block = *me.in;
  Warp& warp = *me.warp;
  if (block.arrived > 0) {
    fail_to_return("threads of its block", block.operation, block.site);
  }
  for (unsigned set = warp.open; set != 0; set &= set - 1) {
    const Meeting& meeting = warp.meetings[static_cast<unsigned>(std::countr_zero(set))];
    if ((meeting.mask >> me.lane & 1U) != 0) {
      fail_to_return("lanes of its warp", meeting.operation, meeting.site);
    }
  }
  warp.live &= ~(1U << me.lane);
  ++block.returned;
  block.at_return.give();
  futile_turns_ = 0;
  Thread* const to = next();
  if (to == &me) {  // in the next block
    return;
  }
  current_thread = to;
  me.fiber.switch_to(to == nullptr ? host_ : static_cast<Context&>(to->fiber));
}

int Scheduler::meet_block(bool flag, const char* operation, const Site& site) {
  const Thread& me = self();
  Block& block = *me.in;
  if (block.arrived == 0) {
    block.operation = operation;
    block.site = site;
    block.flags = 0;
  }
  if (block.returned > 0 || !same(block.operation, block.site, operation, site)) {
    fail_to_meet_block(block, operation, site);
  }
  block.flags += flag ? 1 : 0;
  MemoryOrder& order = block.at_barrier[block.barriers % 2];
  order.give();
  if (++block.arrived < block.size) {
    wait();
    order.take();
    return block.result;
  }
  order.take();
  ++block.barriers;
  block.arrived = 0;
  block.result = block.flags;
  for (unsigned w = 0; w * kWarpSize < block.size; ++w) {
    block.warps[w].ready = block.warps[w].live;
    block.ready_warps |= 1U << w;
  }
  me.warp->ready &= ~(1U << me.lane);
  if (me.warp->ready == 0) {
    block.ready_warps &= ~(1U << me.warp_number);
  }
  return block.result;
}

inline void* const* Scheduler::meet_lanes(unsigned mask, void* mine, const char* operation,
                                          const Site& site) {
  const Thread& me = self();
  Warp& warp = *me.warp;
  const unsigned bit = 1U << me.lane;
  if ((mask & bit) == 0 || (mask & ~warp.live) != 0) {
    fail_to_meet_lanes(warp, mask, me.lane, operation, site);
  }
  // Meetings are told apart by their masks: those of parts of a warp may go on while the other lanes already
  // wait for all.
  unsigned slot = 0;
  unsigned set = warp.open;
  while (set != 0 && warp.meetings[slot = static_cast<unsigned>(std::countr_zero(set))].mask != mask) {
    set &= set - 1;
  }
  if (set == 0) {
    slot = static_cast<unsigned>(std::countr_one(warp.open));
    warp.open |= 1U << slot;
    warp.meetings[slot] = {mask, 0, operation, site};
  }
  Meeting& meeting = warp.meetings[slot];
  if (!same(meeting.operation, meeting.site, operation, site)) {
    fail_to_meet_others(meeting, operation, site);
  }
  meeting.arrived |= bit;
  warp.brought[me.lane] = mine;
  if (meeting.arrived != mask) {
    wait();
    return nullptr;
  }
  warp.open &= ~(1U << slot);
  return warp.brought.data();
}

inline void Scheduler::release_lanes(unsigned mask) {
  const Thread& me = self();
  me.warp->ready |= mask & ~(1U << me.lane);
  if (me.warp->ready != 0) {
    me.in->ready_warps |= 1U << me.warp_number;
  }
}

void Scheduler::give_way(const char* operation, const Site& site) {
  Thread& me = self();
  me.operation = operation;
  me.site = site;
  me.warp->yielded |= 1U << me.lane;
  me.in->yielded_warps |= 1U << me.warp_number;
  wait();
}

// Nothing can run: every thread that has not returned waits at a barrier or for lanes of its warp.
void Scheduler::fail_for_deadlock() {
  std::string text = "waits for what cannot come.";
  for (std::size_t s = 0; s < slots_; ++s) {
    const Block& block = *blocks_[s];
    const std::string number = " Block " + std::to_string(block.index) + ": ";
    if (block.arrived > 0) {
      text += number + std::to_string(block.arrived) + " of " + std::to_string(block.size) +
              " threads are in " + describe(block.operation, block.site) + ".";
    }
    for (unsigned w = 0; w * kWarpSize < block.size; ++w) {
      for (unsigned set = block.warps[w].open; set != 0; set &= set - 1) {
        const Meeting& meeting = block.warps[w].meetings[static_cast<unsigned>(std::countr_zero(set))];
        text += number + "in warp " + std::to_string(w) + ", lanes " + describe_mask(meeting.arrived) +
                " of " + describe_mask(meeting.mask) + " are in " +
                describe(meeting.operation, meeting.site) + ".";
      }
    }
  }
  fail(text);
}

// Somebody waits, in the block whose turn it is.
void Scheduler::fail_for_spinning() {
  const Block& block = *blocks_[turn_];
  const auto w = static_cast<unsigned>(std::countr_zero(block.yielded_warps));
  const auto lane = static_cast<unsigned>(std::countr_zero(block.warps[w].yielded));
  const Thread& waiting = *block.threads[w * kWarpSize + lane];
  current_thread = &waiting;
  fail("waits in " + describe(waiting.operation, waiting.site) +
       " for what no thread does: nothing changed in " + std::to_string(settings().spin_limit) + " rounds");
}

}  // namespace

void fail(const std::string& message) {
  std::string text = "farpoint emulation: ";
  if (current_thread != nullptr) {
    text += "block " + std::to_string(current_thread->block.x) + ", thread " +
            std::to_string(current_thread->thread.x) + " ";
  }
  text += message;
  if (active != nullptr) {
    text += " (kernel launched at " + describe(active->launch().site) + ")";
  }
  text += '\n';
  static_cast<void>(std::fputs(text.c_str(), stderr));
  static_cast<void>(std::fflush(stderr));
  std::abort();
}

void run(const Launch& launch) {
  thread_local Scheduler scheduler;
  if (active != nullptr) {
    fail("launches a kernel, which only the host can");
  }
  scheduler.run(launch);
}

int meet_block(bool flag, const char* operation, const Site& site) {
  return active->meet_block(flag, operation, site);
}
// The lanes of `mask` meet, each with something of its own (`mine`); the last to come calls work(lane), where
// lane(l) is what lane l came with.
namespace {
template <class Lane, class Work>
void meet(unsigned mask, Lane& mine, const char* operation, const Site& site, Work work) {
  if (void* const* const lanes = active->meet_lanes(mask, &mine, operation, site)) {
    work([lanes](unsigned l) -> Lane& { return *static_cast<Lane*>(lanes[l]); });
    Scheduler::release_lanes(mask);
  }
}

template <class F>
void for_each_lane(unsigned mask, F&& use) {
  for (; mask != 0; mask &= mask - 1) {
    use(static_cast<unsigned>(std::countr_zero(mask)));
  }
}
}  // namespace

void meet_lanes(unsigned mask, bool memory, const char* operation, const Site& site) {
  struct Lane {
    Thread* thread;
    Thread* last;
  };
  memory = memory && MemoryOrder::kTracked;
  Thread& me = self();
  Lane mine{&me, &me};
  if (memory) {
    me.given.give();
  }
  meet(mask, mine, operation, site, [&](auto lane) {
    if (memory) {
      for_each_lane(mask, [&](unsigned l) {
        lane(l).thread->given.take();
        lane(l).last = &me;
      });
      me.joined.give();
    }
  });
  if (memory) {
    mine.last->joined.take();
  }
}

std::uint64_t shuffle(unsigned mask, std::uint64_t word, unsigned source, const char* operation,
                      const Site& site) {
  struct Lane {
    std::uint64_t word;
    std::uint64_t result;
    unsigned source;
  };
  Lane mine{word, word, source};
  meet(mask, mine, operation, site, [&](auto lane) {
    for_each_lane(mask, [&](unsigned l) {
      const unsigned from = lane(l).source;
      if ((mask >> from & 1U) == 0) {
        fail_to_read_lane(from, operation, site);
      }
      lane(l).result = lane(from).word;
    });
  });
  return mine.result;
}

void gather(unsigned mask, std::uint64_t word, Words& all, const char* operation, const Site& site) {
  struct Lane {
    std::uint64_t word;
    Words* all;
  };
  Words gathered{};
  Lane mine{word, &gathered};
  meet(mask, mine, operation, site, [&](auto lane) {
    for_each_lane(mask, [&](unsigned l) { gathered[l] = lane(l).word; });
    for_each_lane(mask, [&](unsigned l) { *lane(l).all = gathered; });
  });
  all = gathered;
}

unsigned ballot(unsigned mask, bool predicate, const char* operation, const Site& site) {
  struct Lane {
    bool predicate;
    unsigned result;
  };
  Lane mine{predicate, 0};
  meet(mask, mine, operation, site, [&](auto lane) {
    unsigned votes = 0;
    for_each_lane(mask, [&](unsigned l) { votes |= (lane(l).predicate ? 1U : 0U) << l; });
    for_each_lane(mask, [&](unsigned l) { lane(l).result = votes; });
  });
  return mine.result;
}

Row transpose_rows(const Row& row, const char* operation, const Site& site) {
  struct Lane {
    Row row;
    Row result;
  };
  Lane mine{row, {}};
  meet(kAllLanes, mine, operation, site, [](auto lane) {
    for (unsigned l = 0; l < kWarpSize; ++l) {
      for (unsigned m = 0; m < 4; ++m) {
        lane(l).result[m] = lane(8 * m + l / 4).row[l % 4];
      }
    }
  });
  return mine.result;
}

Row multiply_bytes(const Row& a, const std::array<std::uint32_t, 2>& b, const char* operation,
                   const Site& site) {
  struct Lane {
    Row a;
    std::array<std::uint32_t, 2> b;
    Row result;
  };
  Lane mine{a, b, {}};
  meet(kAllLanes, mine, operation, site, [](auto lane) {
    std::array<std::array<std::int8_t, 32>, 16> rows{};
    std::array<std::array<std::int8_t, 32>, 8> columns{};
    for (unsigned l = 0; l < kWarpSize; ++l) {
      const unsigned g = l / 4;
      const std::size_t t = std::size_t{4} * (l % 4);
      std::memcpy(&rows[g][t], &lane(l).a[0], 4);
      std::memcpy(&rows[g + 8][t], &lane(l).a[1], 4);
      std::memcpy(&rows[g][16 + t], &lane(l).a[2], 4);
      std::memcpy(&rows[g + 8][16 + t], &lane(l).a[3], 4);
      std::memcpy(&columns[g][t], &lane(l).b[0], 4);
      std::memcpy(&columns[g][16 + t], &lane(l).b[1], 4);
    }
    for (unsigned l = 0; l < kWarpSize; ++l) {
      for (unsigned i = 0; i < 4; ++i) {
        const auto& row = rows[l / 4 + i / 2 * 8];
        const auto& column = columns[2 * (l % 4) + i % 2];
        std::int32_t sum = 0;
        for (std::size_t k = 0; k < row.size(); ++k) {
          sum += row[k] * column[k];
        }
        lane(l).result[i] = static_cast<std::uint32_t>(sum);
      }
    }
  });
  return mine.result;
}

void fence() {
  // All fences are in one order here; the emulation itself reorders nothing.
  static MemoryOrder order;
  order.take();
  order.give();
}

void give_way(const char* operation, const Site& site) {
  active->give_way(operation, site);
}
void signal_progress() {
  if (active != nullptr) {
    active->signal_progress();
  }
}
void futile_attempt(const char* operation, const Site& site) {
  if (active != nullptr && ++self().futile_attempts >= kFutileAttempts) {
    self().futile_attempts = 0;
    active->give_way(operation, site);
  }
}

bool is_shared(const void* address, std::size_t bytes) {
  const auto* const at = static_cast<const unsigned char*>(address);
  const ThreadView& me = *current_thread;
  return me.shared != nullptr && std::greater_equal<>()(at, static_cast<const unsigned char*>(me.shared)) &&
         std::less_equal<>()(at + bytes, static_cast<const unsigned char*>(me.shared) + me.shared_bytes);
}

void begin_copy(void* to_shared, const void* from_global) {
  constexpr std::size_t kBytes = 16;
  if (reinterpret_cast<std::uintptr_t>(to_shared) % kBytes != 0 ||
      reinterpret_cast<std::uintptr_t>(from_global) % kBytes != 0) {
    fail("calls copy_async with an end that is not 16-byte aligned");
  }
  if (!is_shared(to_shared, kBytes)) {
    fail("calls copy_async with a destination that is not in shared memory");
  }
  // From now on either end may be accessed at any time: what is read too early is neither old nor new.
  const Copy copy{to_shared, from_global};
  copy.note();
  std::memset(to_shared, kGarbage, kBytes);
  self().copies.push_back(copy);
}

void commit_copies() {
  self().group_ends.push_back(self().copies.size());
}

void await_copies(std::size_t pending) {
  Thread& me = self();
  if (me.group_ends.size() <= pending) {
    return;
  }
  const std::size_t groups = me.group_ends.size() - pending;
  const std::size_t done = me.group_ends[groups - 1];
  for (std::size_t i = 0; i < done; ++i) {
    me.copies[i].note();
    std::memcpy(me.copies[i].to, me.copies[i].from, 16);
  }
  me.copies.erase(me.copies.begin(), me.copies.begin() + static_cast<std::ptrdiff_t>(done));
  me.group_ends.erase(me.group_ends.begin(), me.group_ends.begin() + static_cast<std::ptrdiff_t>(groups));
  for (std::size_t& end : me.group_ends) {
    end -= done;
  }
}

}  // namespace farpoint::emulation
