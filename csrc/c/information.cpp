// What the library is, and what it can use here.

#include <array>

#include "c/farpoint.h"
#include "cpu/simd_level.h"

int32_t farpoint_abi_version(void) {
  return FARPOINT_ABI_VERSION;
}

const char* farpoint_version(void) {
  return FARPOINT_VERSION;
}

const char* const* farpoint_simd_levels(void) {
  using namespace farpoint::cpu;
  static const auto names = [] {
    std::array<const char*, kSimdLevels + 1> found{};
    std::size_t count = 0;
    for (int i = 0; i < kSimdLevels; ++i) {
      const auto level = static_cast<SimdLevel>(i);
      if (simd_level_compiled(level) && simd_level_supported(level)) {
        found[count++] = simd_level_name(level).data();  // of a literal, so that a 0 ends it
      }
    }
    return found;
  }();
  return names.data();
}
