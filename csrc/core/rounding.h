// Outward rounding of what screens compare with.
#pragma once

#include <cmath>

#include "core/types.h"

namespace farpoint {

// A float32 that is not above x, which is finite. Converting errs by half a unit in the last place or by a
// subnormal; a whole one is taken off, which is cheaper than finding out.
FARPOINT_HOST_DEVICE inline float round_down(double x) {
  const auto f = static_cast<float>(x);
  return f - (std::abs(f) * 0x1p-23F + 0x1p-149F);
}

}  // namespace farpoint
