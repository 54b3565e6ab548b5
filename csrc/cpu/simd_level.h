// SIMD levels: what was compiled, what this processor can run, and which one a call uses.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace farpoint::cpu {

// Rising: every processor that runs a level runs those before it.
enum class SimdLevel { baseline, avx2, avx512 };

inline constexpr int kSimdLevels = 3;

std::string_view simd_level_name(SimdLevel level);
std::optional<SimdLevel> parse_simd_level(std::string_view name);

bool simd_level_compiled(SimdLevel level);
bool simd_level_supported(SimdLevel level);   // by this processor and its operating system
std::vector<SimdLevel> usable_simd_levels();  // compiled and supported, rising

// `name` empty: the best usable level. Throws std::invalid_argument with the usable ones otherwise.
SimdLevel choose_simd_level(const std::string& name);

}  // namespace farpoint::cpu
