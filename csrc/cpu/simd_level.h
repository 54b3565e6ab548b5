// SIMD levels: what was compiled, what this processor can run, and which one a call uses.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace farpoint::cpu {

// In the order in which they are preferred. avxvnni and avx512vnni are avx2 and avx512 with instructions that
// multiply and add bytes, and neondot is that of 64-bit Arm, whose baseline has 16-byte vectors; no
// processor need have all of its family.
enum class SimdLevel { baseline, neondot, avx2, avxvnni, avx512, avx512vnni };

inline constexpr int kSimdLevels = 6;

std::string_view simd_level_name(SimdLevel level);
std::optional<SimdLevel> parse_simd_level(std::string_view name);

bool simd_level_compiled(SimdLevel level);
bool simd_level_supported(SimdLevel level);          // by this processor and its operating system
const std::vector<SimdLevel>& usable_simd_levels();  // compiled and supported, the preferred last

// `name` empty: the best usable level. Throws std::invalid_argument with the usable ones otherwise.
SimdLevel choose_simd_level(const std::string& name);

}  // namespace farpoint::cpu
