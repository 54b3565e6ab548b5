#include "cpu/simd_level.h"

#include <array>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace farpoint::cpu {
namespace {

constexpr std::array<std::string_view, kSimdLevels> kNames = {"baseline", "neondot", "avx2",
                                                              "avxvnni",  "avx512",  "avx512vnni"};

#if defined(__x86_64__)
// Every processor with AVX2 has F16C, but a hypervisor may hide it, and old compilers do not know its
// name in __builtin_cpu_supports.
bool has_f16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  constexpr unsigned kF16cBit = 1U << 29;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & kF16cBit) != 0;
}

// __builtin_cpu_supports also asks whether the operating system saves the registers.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

// Leaf 7, subleaf 1; the registers are AVX2's.
bool has_avxvnni() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  constexpr unsigned kAvxVnniBit = 1U << 4;
  return has_avx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & kAvxVnniBit) != 0;
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

#if defined(__aarch64__)
bool has_dot_product() {
#if defined(__linux__)
  constexpr unsigned long kDotProductBit = 1UL << 20;  // HWCAP_ASIMDDP
  return (getauxval(AT_HWCAP) & kDotProductBit) != 0;
#elif defined(__APPLE__)
  return true;  // every Apple processor of this architecture
#else
  return false;
#endif
}
#endif

}  // namespace

std::string_view simd_level_name(SimdLevel level) {
  return kNames[static_cast<std::size_t>(level)];
}

std::optional<SimdLevel> parse_simd_level(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) {
      return static_cast<SimdLevel>(i);
    }
  }
  return std::nullopt;
}

bool simd_level_compiled(SimdLevel level) {
  switch (level) {
    case SimdLevel::baseline:
      return true;
    case SimdLevel::neondot:
#if defined(FARPOINT_ARM_LEVELS)
      return true;
#else
      return false;
#endif
    default:
#if defined(FARPOINT_X86_LEVELS)
      return true;
#else
      return false;
#endif
  }
}

bool simd_level_supported(SimdLevel level) {
  switch (level) {
    case SimdLevel::baseline:
      return true;
#if defined(__x86_64__)
    case SimdLevel::avx2:
      return has_avx2();
    case SimdLevel::avxvnni:
      return has_avxvnni();
    case SimdLevel::avx512:
      return has_avx512();
    case SimdLevel::avx512vnni:
      return has_avx512() && __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
    case SimdLevel::neondot:
      return has_dot_product();
#endif
    default:
      return false;
  }
}

const std::vector<SimdLevel>& usable_simd_levels() {
  // Asking the processor takes microseconds, and small calls are not much longer.
  static const std::vector<SimdLevel> levels = [] {
    std::vector<SimdLevel> found;
    for (int i = 0; i < kSimdLevels; ++i) {
      const auto level = static_cast<SimdLevel>(i);
      if (simd_level_compiled(level) && simd_level_supported(level)) {
        found.push_back(level);
      }
    }
    return found;
  }();
  return levels;
}

SimdLevel choose_simd_level(const std::string& name) {
  const auto& usable = usable_simd_levels();
  if (name.empty()) {
    return usable.back();
  }
  const auto wanted = parse_simd_level(name);
  for (const SimdLevel level : usable) {
    if (wanted == level) {
      return level;
    }
  }
  std::string known;
  for (const SimdLevel level : usable) {
    known += known.empty() ? "" : ", ";
    known += simd_level_name(level);
  }
  throw std::invalid_argument("SIMD level '" + name +
                              "' cannot be used here; compiled and supported by this processor: " + known);
}

}  // namespace farpoint::cpu
