// Fibers: stacks of their own that one operating-system thread switches between.
//
// On x86-64 a switch saves the registers that a callee preserves and jumps, in a few nanoseconds; elsewhere
// it is swapcontext, which is portable and slow. AddressSanitizer and ThreadSanitizer are told of each
// switch.
#pragma once

#include <cstddef>

#include "emulation/sanitizers.h"

#if !(defined(__x86_64__) && defined(__ELF__)) || defined(FARPOINT_EMULATION_UCONTEXT)
#define FARPOINT_FIBERS_BY_UCONTEXT 1
#include <ucontext.h>
#else
// Leaves the present stack, where *save then says, for one that was left so.
extern "C" void farpoint_switch_stack(void** save, void* load);
#endif

namespace farpoint::emulation {

// Something to switch from and to: a fiber, or the stack that an operating-system thread came with.
class Context {
 public:
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() = default;

  // The stack that this thread runs on now.
  void adopt_current_stack();

  // Goes on where `to` was left; returns when somebody switches back to this.
#if defined(FARPOINT_FIBERS_BY_UCONTEXT) || defined(FARPOINT_ADDRESS_SANITIZER) || defined(FARPOINT_RACES)
  void switch_to(Context& to);
#else
  void switch_to(Context& to) { farpoint_switch_stack(&stack_pointer_, to.stack_pointer_); }
#endif

 protected:
  // The first thing that runs on a new stack.
  static void arrive();

#if defined(FARPOINT_FIBERS_BY_UCONTEXT)
  ucontext_t context_{};
#else
  void* stack_pointer_ = nullptr;
#endif
  const void* stack_ = nullptr;  // its lowest address
  std::size_t stack_bytes_ = 0;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
  void* race_state_ = nullptr;  // ThreadSanitizer's
};

class Fiber : public Context {
 public:
  using Entry = void (*)(void* argument);  // never returns

  // The first switch to it calls entry(argument). `number` spreads the hot ends of stacks over cache sets.
  Fiber(Entry entry, void* argument, std::size_t stack_bytes, std::size_t number);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

 private:
  static void start(Fiber* fiber);

  Entry entry_;
  void* argument_;
  void* mapping_ = nullptr;
  std::size_t mapping_bytes_ = 0;
};

}  // namespace farpoint::emulation
