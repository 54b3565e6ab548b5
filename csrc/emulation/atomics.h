// CUDA's atomic operations and fences. Each returns what was there before.
#pragma once

#include <algorithm>
#include <atomic>
#include <concepts>

#include "emulation/threads.h"

namespace farpoint::emulation {

template <class T, class... Types>
concept OneOf = (std::same_as<T, Types> || ...);

template <class T, class Change>
T change_atomically(T* address, const char* operation, const Site& site, Change change) {
  const std::atomic_ref<T> word(*address);
  T before = word.load(std::memory_order_relaxed);
  T after = change(before);
  while (!word.compare_exchange_weak(before, after, std::memory_order_relaxed)) {
    after = change(before);
  }
  if (before != after) {
    signal_progress();
  } else {
    futile_attempt(operation, site);
  }
  return before;
}

}  // namespace farpoint::emulation

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): CUDA's names
inline void __threadfence() {
  farpoint::emulation::fence();
}
inline void __threadfence_block() {
  farpoint::emulation::fence();
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

template <farpoint::emulation::OneOf<int, unsigned, unsigned long long, float, double> T>
T atomicAdd(T* address, std::type_identity_t<T> value,
            const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::change_atomically(address, "atomicAdd", site, [value](T x) {
    if constexpr (std::same_as<T, int>) {
      return static_cast<int>(static_cast<unsigned>(x) + static_cast<unsigned>(value));
    } else {
      return x + value;
    }
  });
}
template <farpoint::emulation::OneOf<int, unsigned> T>
T atomicSub(T* address, std::type_identity_t<T> value,
            const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::change_atomically(address, "atomicSub", site, [value](T x) {
    return static_cast<T>(static_cast<unsigned>(x) - static_cast<unsigned>(value));
  });
}
template <farpoint::emulation::OneOf<int, unsigned, long long, unsigned long long> T>
T atomicMin(T* address, std::type_identity_t<T> value,
            const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::change_atomically(address, "atomicMin", site,
                                                [value](T x) { return std::min(x, value); });
}
template <farpoint::emulation::OneOf<int, unsigned, long long, unsigned long long> T>
T atomicMax(T* address, std::type_identity_t<T> value,
            const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::change_atomically(address, "atomicMax", site,
                                                [value](T x) { return std::max(x, value); });
}
template <farpoint::emulation::OneOf<int, unsigned, unsigned long long> T>
T atomicOr(T* address, std::type_identity_t<T> value,
           const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::change_atomically(address, "atomicOr", site,
                                                [value](T x) { return x | value; });
}
template <farpoint::emulation::OneOf<int, unsigned, unsigned long long> T>
T atomicAnd(T* address, std::type_identity_t<T> value,
            const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::change_atomically(address, "atomicAnd", site,
                                                [value](T x) { return x & value; });
}
template <farpoint::emulation::OneOf<int, unsigned, unsigned long long, float> T>
T atomicExch(T* address, std::type_identity_t<T> value,
             const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::change_atomically(address, "atomicExch", site, [value](T) { return value; });
}
template <farpoint::emulation::OneOf<int, unsigned, unsigned long long> T>
T atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value,
            const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::change_atomically(address, "atomicCAS", site,
                                                [compare, value](T x) { return x == compare ? value : x; });
}
