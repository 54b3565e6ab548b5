// Numbers that look random and are the same everywhere, for sampling. No result depends on them.
#pragma once

#include <cstdint>

#include "core/types.h"

namespace farpoint {

// Evenly spread, unpredictable numbers in [0, 1) without state (splitmix64's finaliser).
FARPOINT_HOST_DEVICE inline double unit_hash(Index i) {
  auto z = static_cast<std::uint64_t>(i) + 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

}  // namespace farpoint
