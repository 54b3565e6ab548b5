// The one place where C++ ends: what exported functions do with exceptions, and where messages are kept.
#pragma once

#include <stdexcept>
#include <string>
#include <type_traits>

#include "c/farpoint.h"

namespace farpoint::c {

// LimitTooSmall with what was asked for, which the engine does not know.
class TooLittleMemory : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws std::invalid_argument, which becomes FARPOINT_INVALID_ARGUMENT.
[[noreturn]] void refuse(const std::string& message);

// In a handler of any exception: keeps its message for this thread and returns its code.
farpoint_status keep_error() noexcept;

// What every exported function that can fail is wrapped in, once.
template <class Work>
farpoint_status guarded(const Work& work) noexcept {
  static_assert(std::is_void_v<decltype(work())>);
  try {
    work();
    return FARPOINT_OK;
  } catch (...) {
    return keep_error();
  }
}

}  // namespace farpoint::c
