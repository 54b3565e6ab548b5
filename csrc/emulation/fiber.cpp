#include "emulation/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#if defined(FARPOINT_INSTRUMENTED_FOR_RACES)
#error "compile this file with -fno-sanitize=thread -DFARPOINT_RACES"
#endif
#if defined(FARPOINT_ADDRESS_SANITIZER)
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(FARPOINT_RACES)
#include <sanitizer/tsan_interface.h>
#endif

#if !defined(FARPOINT_FIBERS_BY_UCONTEXT)

// farpoint_switch_stack(void** save, void* load): the six registers that a callee preserves lie on the stack
// that is left, under the address to return to. That and those of the callers are mostly the same on both
// stacks, so that the processor predicts them rightly. farpoint_start_stack is where a new stack goes on: r12
// holds the function to call, r13 its argument.
asm(R"(
.pushsection .text
.hidden farpoint_switch_stack
.globl farpoint_switch_stack
.type farpoint_switch_stack, @function
.p2align 4
farpoint_switch_stack:
  .cfi_startproc
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .cfi_endproc
.size farpoint_switch_stack, .-farpoint_switch_stack
.hidden farpoint_start_stack
.globl farpoint_start_stack
.type farpoint_start_stack, @function
.p2align 4
farpoint_start_stack:
  .cfi_startproc
  .cfi_undefined rip
  movq %r13, %rdi
  callq *%r12
  ud2
  .cfi_endproc
.size farpoint_start_stack, .-farpoint_start_stack
.popsection
)");

extern "C" void farpoint_start_stack();

#endif

namespace farpoint::emulation {

void Context::adopt_current_stack() {
#if defined(FARPOINT_ADDRESS_SANITIZER)
  pthread_attr_t attributes;
  void* lowest = nullptr;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getstack(&attributes, &lowest, &stack_bytes_);
    pthread_attr_destroy(&attributes);
  }
  stack_ = lowest;
#endif
#if defined(FARPOINT_RACES)
  race_state_ = __tsan_get_current_fiber();
#endif
}

#if defined(FARPOINT_FIBERS_BY_UCONTEXT) || defined(FARPOINT_ADDRESS_SANITIZER) || defined(FARPOINT_RACES)
void Context::switch_to(Context& to) {
#if defined(FARPOINT_ADDRESS_SANITIZER)
  __sanitizer_start_switch_fiber(&fake_stack_, to.stack_, to.stack_bytes_);
#endif
#if defined(FARPOINT_RACES)
  // Whatever orders the threads of a kernel says so itself.
  __tsan_switch_to_fiber(to.race_state_, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(FARPOINT_FIBERS_BY_UCONTEXT)
  swapcontext(&context_, &to.context_);
#else
  farpoint_switch_stack(&stack_pointer_, to.stack_pointer_);
#endif
#if defined(FARPOINT_ADDRESS_SANITIZER)
  __sanitizer_finish_switch_fiber(fake_stack_, nullptr, nullptr);
#endif
}
#endif

void Context::arrive() {
#if defined(FARPOINT_ADDRESS_SANITIZER)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

void Fiber::start(Fiber* fiber) {
  arrive();
  fiber->entry_(fiber->argument_);
}

Fiber::Fiber(Entry entry, void* argument, std::size_t stack_bytes, std::size_t number)
    : entry_(entry), argument_(argument) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  stack_bytes = (stack_bytes + page - 1) / page * page;
  // A page that nothing may touch lies below, so that an overflow ends the program; one more lies above, for
  // the spreading.
  mapping_bytes_ = stack_bytes + 2 * page;
  mapping_ = mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping_ == MAP_FAILED || mprotect(mapping_, page, PROT_NONE) != 0) {
    throw std::bad_alloc();
  }
  auto* const lowest = static_cast<unsigned char*>(mapping_) + page;
  stack_ = lowest;
  stack_bytes_ = stack_bytes + number % 16 * (page / 16);
#if defined(FARPOINT_RACES)
  race_state_ = __tsan_create_fiber(0);
#endif
#if defined(FARPOINT_FIBERS_BY_UCONTEXT)
  getcontext(&context_);
  context_.uc_stack.ss_sp = lowest;
  context_.uc_stack.ss_size = stack_bytes_;
  context_.uc_link = nullptr;
  // makecontext passes ints alone: the pointer goes in two halves.
  const auto address = reinterpret_cast<std::uintptr_t>(this);
  const auto trampoline = +[](unsigned high, unsigned low) {
    const auto joined = static_cast<std::uint64_t>(high) << 32 | low;
    start(reinterpret_cast<Fiber*>(static_cast<std::uintptr_t>(joined)));
  };
  makecontext(&context_, reinterpret_cast<void (*)()>(trampoline), 2,
              static_cast<unsigned>(static_cast<std::uint64_t>(address) >> 32),
              static_cast<unsigned>(address));
#else
  // As farpoint_switch_stack leaves a stack. The called function finds it aligned to 16.
  auto** const top = reinterpret_cast<void**>(lowest + stack_bytes_ - 64);
  void** const saved = top - 7;
  saved[0] = nullptr;                          // r15
  saved[1] = nullptr;                          // r14
  saved[2] = this;                             // r13
  saved[3] = reinterpret_cast<void*>(&start);  // r12
  saved[4] = nullptr;                          // rbx
  saved[5] = nullptr;                          // rbp
  saved[6] = reinterpret_cast<void*>(&farpoint_start_stack);
  stack_pointer_ = static_cast<void*>(saved);
#endif
}

Fiber::~Fiber() {
#if defined(FARPOINT_RACES)
  __tsan_destroy_fiber(race_state_);
#endif
  munmap(mapping_, mapping_bytes_);
}

}  // namespace farpoint::emulation
