// SIMD levels: which there are, and that each is its own code.
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

#include "cpu/points.h"
#include "cpu/simd_level.h"

using farpoint::cpu::SimdLevel;

namespace {

std::string usable_names() {
  std::string names;
  for (const SimdLevel level : farpoint::cpu::usable_simd_levels()) {
    names += names.empty() ? "" : " ";
    names += farpoint::cpu::simd_level_name(level);
  }
  return names;
}

}  // namespace

// Where the processor is known, as an emulated one is, the tests of every level say nothing of one that was
// not found to be usable. FARPOINT_TEST_SIMD_LEVELS lists those that must be, the preferred last.
TEST_CASE("the SIMD levels are those that this processor is known to have") {
  const std::string names = usable_names();
  std::cout << "SIMD levels: " << names << '\n';
  CHECK(names.starts_with("baseline"));
  if (const char* expected = std::getenv("FARPOINT_TEST_SIMD_LEVELS")) {
    CHECK(names == expected);
  }
}

// Every level multiplies bytes with other instructions.
TEST_CASE("no level computes with the kernels of another") {
  const auto& levels = farpoint::cpu::usable_simd_levels();
  for (const SimdLevel a : levels) {
    for (const SimdLevel b : levels) {
      const bool same = farpoint::cpu::kernel_set(a).code == farpoint::cpu::kernel_set(b).code;
      CHECK(same == (a == b));
    }
  }
}

TEST_CASE("a level that cannot be used is refused, not replaced") {
  for (int i = 0; i < farpoint::cpu::kSimdLevels; ++i) {
    const auto level = static_cast<SimdLevel>(i);
    const std::string name(farpoint::cpu::simd_level_name(level));
    CAPTURE(name);
    if (farpoint::cpu::simd_level_compiled(level) && farpoint::cpu::simd_level_supported(level)) {
      CHECK(farpoint::cpu::choose_simd_level(name) == level);
    } else {
      CHECK_THROWS_AS(farpoint::cpu::choose_simd_level(name), std::invalid_argument);
    }
  }
  CHECK(farpoint::cpu::choose_simd_level("") == farpoint::cpu::usable_simd_levels().back());
}
