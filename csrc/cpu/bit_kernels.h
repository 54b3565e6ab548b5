// The inner loops over packed bits, as a table of functions, one table a SIMD level: what a kernel computes,
// from which layout. The code is in bits.inl; thin files (bits_avx2.cpp, ...) compile it once a level.
//
// Layout. Rows are padded with zeros to whole 64-bit words. Points are packed in groups of `lanes` rows,
// interleaved: word w of lane l is at [w * lanes + l]. Picks are packed in tiles of kBitTilePicks rows the
// same way.
#pragma once

#include <cstddef>
#include <cstdint>

namespace farpoint::cpu {

inline constexpr int kBitTilePicks = 4;

// The numbers of a group's rows that the test takes (core/bit_bound.h), one array of `lanes` numbers after
// the other.
inline constexpr int kBitFactor = 0;
inline constexpr int kBitBias = 1;
inline constexpr int kBitCount = 2;
inline constexpr int kBitNumbers = 3;

struct BitKernels {
  int lanes;  // rows in a group

  // How many bits are set in both of two rows of so many bytes.
  using Common = std::int64_t (*)(const std::byte* x, const std::byte* y, std::int64_t bytes);
  Common common;

  // survivors[p], bit l: the pair cannot be skipped. Returns whether any bit is set. counts[p]: bits set in
  // pick p.
  using ScreenTile = bool (*)(const std::uint64_t* group, const double* numbers, const std::uint64_t* tile,
                              const double* counts, std::int64_t words, std::uint32_t* survivors);
  ScreenTile screen_tile;

  // The same for one contiguous pick: bit l of the result.
  using ScreenRow = std::uint32_t (*)(const std::uint64_t* group, const double* numbers,
                                      const std::uint64_t* pick, double count, std::int64_t words);
  ScreenRow screen_row;
};

namespace baseline {
const BitKernels& bit_kernels();
}  // namespace baseline

namespace avx2 {
const BitKernels& bit_kernels();
}  // namespace avx2

namespace avx512 {
const BitKernels& bit_kernels();
}  // namespace avx512

}  // namespace farpoint::cpu
