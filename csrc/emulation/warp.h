// What the lanes of a warp do together. Every lane of `mask` has to come, to the same call; one that reads a
// lane outside the mask has no value on hardware, and ends the program here.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "emulation/threads.h"

namespace farpoint::emulation {

// The lanes of `mask` meet; the last to come calls work(lane), where lane(i) is what lane i came with.
template <class Lane, class Work>
void meet(unsigned mask, Lane& mine, const char* operation, const Site& site, Work work) {
  if (void* const* const lanes = meet_lanes(mask, &mine, operation, site)) {
    work([lanes](unsigned lane) -> Lane& { return *static_cast<Lane*>(lanes[lane]); });
    release_lanes(mask);
  }
}

template <class F>
void for_each_lane(unsigned mask, F&& use) {
  for (; mask != 0; mask &= mask - 1) {
    use(static_cast<unsigned>(std::countr_zero(mask)));
  }
}

// The types that CUDA shuffles.
template <class T>
concept Shuffled = std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8);

template <class T>
T shuffle(unsigned mask, T value, unsigned source, const char* operation, const Site& site) {
  struct Lane {
    T value;
    T result;
    unsigned source;
  };
  Lane mine{value, value, source};
  meet(mask, mine, operation, site, [&](auto lane) {
    for_each_lane(mask, [&](unsigned l) {
      const unsigned from = lane(l).source;
      if ((mask >> from & 1U) == 0) {
        fail("reads lane " + std::to_string(from) + ", which is not in the mask, in " + operation +
             " at line " + std::to_string(site.line()));
      }
      lane(l).result = lane(from).value;
    });
  });
  return mine.result;
}

// The lowest lane of this lane's segment of `width` lanes, a power of two.
inline unsigned segment(int width) {
  if (width < 1 || width > 32 || !std::has_single_bit(static_cast<unsigned>(width))) {
    fail("shuffles with a width that is not a power of two up to 32");
  }
  return current_thread->lane & ~(static_cast<unsigned>(width) - 1);
}

inline unsigned ballot(unsigned mask, bool predicate, const char* operation, const Site& site) {
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

template <class T, class Operation>
T reduce(unsigned mask, T value, const char* name, const Site& site, Operation operation) {
  T mine = value;
  meet(mask, mine, name, site, [&](auto lane) {
    T total = lane(static_cast<unsigned>(std::countr_zero(mask)));
    for_each_lane(mask & (mask - 1), [&](unsigned l) { total = operation(total, lane(l)); });
    for_each_lane(mask, [&](unsigned l) { lane(l) = total; });
  });
  return mine;
}

// The types that CUDA reduces.
template <class T>
concept Reduced = std::same_as<T, int> || std::same_as<T, unsigned>;

}  // namespace farpoint::emulation

// NOLINTBEGIN(bugprone-reserved-identifier): CUDA's names
inline void __syncwarp(unsigned mask = 0xffffffffU,
                       const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  char nothing = 0;
  farpoint::emulation::meet(mask, nothing, "__syncwarp", site, [](auto) {});
}

template <farpoint::emulation::Shuffled T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  const unsigned first = farpoint::emulation::segment(width);
  const unsigned from = first | (static_cast<unsigned>(source) & (static_cast<unsigned>(width) - 1));
  return farpoint::emulation::shuffle(mask, value, from, "__shfl_sync", site);
}
template <farpoint::emulation::Shuffled T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  const unsigned lane = farpoint::emulation::current_thread->lane;
  const unsigned last = farpoint::emulation::segment(width) + static_cast<unsigned>(width) - 1;
  const unsigned from = lane ^ (static_cast<unsigned>(lane_mask) & 31U);
  return farpoint::emulation::shuffle(mask, value, from <= last ? from : lane, "__shfl_xor_sync", site);
}
template <farpoint::emulation::Shuffled T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  const unsigned lane = farpoint::emulation::current_thread->lane;
  const unsigned last = farpoint::emulation::segment(width) + static_cast<unsigned>(width) - 1;
  const unsigned from = lane + (delta & 31U);
  return farpoint::emulation::shuffle(mask, value, from <= last ? from : lane, "__shfl_down_sync", site);
}
template <farpoint::emulation::Shuffled T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 const farpoint::emulation::Site& site = farpoint::emulation::Site::current()) {
  const unsigned lane = farpoint::emulation::current_thread->lane;
  const unsigned first = farpoint::emulation::segment(width);
  const unsigned back = delta & 31U;
  return farpoint::emulation::shuffle(mask, value, lane >= first + back ? lane - back : lane,
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
// NOLINTEND(bugprone-reserved-identifier)
