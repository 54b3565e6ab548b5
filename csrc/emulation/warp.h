// What the lanes of a warp do together. Every lane of `mask` has to come, to the same call; one that reads a
// lane outside the mask has no value on hardware, and ends the program here.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulation/threads.h"

namespace farpoint::emulation {

// The types that CUDA shuffles.
template <class T>
concept Shuffled = std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8);

template <Shuffled T>
T shuffle_value(unsigned mask, T value, unsigned source, const char* operation, const Site& site) {
  std::uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  word = shuffle(mask, word, source, operation, site);
  std::memcpy(&value, &word, sizeof value);
  return value;
}

// The lowest lane of this lane's segment of `width` lanes, a power of two.
inline unsigned segment(int width) {
  if (width < 1 || width > 32 || !std::has_single_bit(static_cast<unsigned>(width))) {
    fail("shuffles with a width that is not a power of two up to 32");
  }
  return current_thread->lane & ~(static_cast<unsigned>(width) - 1);
}

// The types that CUDA reduces.
template <class T>
concept Reduced = std::same_as<T, int> || std::same_as<T, unsigned>;

template <Reduced T, class Operation>
T reduce(unsigned mask, T value, const char* name, const Site& site, Operation operation) {
  Words all;
  gather(mask, static_cast<unsigned>(value), all, name, site);
  auto total = static_cast<T>(all[static_cast<std::size_t>(std::countr_zero(mask))]);
  for (unsigned rest = mask & (mask - 1); rest != 0; rest &= rest - 1) {
    total = operation(total, static_cast<T>(all[static_cast<std::size_t>(std::countr_zero(rest))]));
  }
  return total;
}

}  // namespace farpoint::emulation

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): CUDA's names
inline void __syncwarp(unsigned mask = 0xffffffffU,
                       const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  farpoint::emulation::meet_lanes(mask, true, "__syncwarp", site);
}

template <farpoint::emulation::Shuffled T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  const unsigned first = farpoint::emulation::segment(width);
  const unsigned from = first | (static_cast<unsigned>(source) & (static_cast<unsigned>(width) - 1));
  return farpoint::emulation::shuffle_value(mask, value, from, "__shfl_sync", site);
}
template <farpoint::emulation::Shuffled T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  const unsigned lane = farpoint::emulation::current_thread->lane;
  const unsigned last = farpoint::emulation::segment(width) + static_cast<unsigned>(width) - 1;
  const unsigned from = lane ^ (static_cast<unsigned>(lane_mask) & 31U);
  return farpoint::emulation::shuffle_value(mask, value, from <= last ? from : lane, "__shfl_xor_sync", site);
}
template <farpoint::emulation::Shuffled T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  const unsigned lane = farpoint::emulation::current_thread->lane;
  const unsigned last = farpoint::emulation::segment(width) + static_cast<unsigned>(width) - 1;
  const unsigned from = lane + (delta & 31U);
  return farpoint::emulation::shuffle_value(mask, value, from <= last ? from : lane, "__shfl_down_sync",
                                            site);
}
template <farpoint::emulation::Shuffled T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  const unsigned lane = farpoint::emulation::current_thread->lane;
  const unsigned first = farpoint::emulation::segment(width);
  const unsigned back = delta & 31U;
  return farpoint::emulation::shuffle_value(mask, value, lane >= first + back ? lane - back : lane,
                                            "__shfl_up_sync", site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::ballot(mask, predicate != 0, "__ballot_sync", site);
}
inline int __any_sync(unsigned mask, int predicate,
                      const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::ballot(mask, predicate != 0, "__any_sync", site) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate,
                      const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::ballot(mask, predicate != 0, "__all_sync", site) == mask ? 1 : 0;
}

// Of sm_80 and later.
template <farpoint::emulation::Reduced T>
T __reduce_add_sync(unsigned mask, T value,
                    const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::reduce(mask, value, "__reduce_add_sync", site, [](T a, T b) {
    return static_cast<T>(static_cast<unsigned>(a) + static_cast<unsigned>(b));
  });
}
template <farpoint::emulation::Reduced T>
T __reduce_min_sync(unsigned mask, T value,
                    const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::reduce(mask, value, "__reduce_min_sync", site,
                                     [](T a, T b) { return b < a ? b : a; });
}
template <farpoint::emulation::Reduced T>
T __reduce_max_sync(unsigned mask, T value,
                    const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::reduce(mask, value, "__reduce_max_sync", site,
                                     [](T a, T b) { return a < b ? b : a; });
}
inline unsigned __reduce_and_sync(
    unsigned mask, unsigned value,
    const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::reduce(mask, value, "__reduce_and_sync", site,
                                     [](unsigned a, unsigned b) { return a & b; });
}
inline unsigned __reduce_or_sync(
    unsigned mask, unsigned value,
    const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  return farpoint::emulation::reduce(mask, value, "__reduce_or_sync", site,
                                     [](unsigned a, unsigned b) { return a | b; });
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
