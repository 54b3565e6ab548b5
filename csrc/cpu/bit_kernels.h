// The inner loops over packed bits, as a table of functions, one table a SIMD level: what a kernel computes,
// from which layout. The code is in bits.inl; thin files (bits_avx2.cpp, ...) compile it once a level.
//
// Layouts. Of the candidates of the pick loop, which meet one pick at a time: rows are padded with zeros to
// whole 64-bit words and packed in groups of `lanes`, interleaved: word w of lane l is at [w * lanes + l]. Of
// the pick list, which many rows meet: by columns, in blocks of kBlockPicks picks. Line j of a block holds
// bit j of every pick, kBlockWords words, a cache line.
#pragma once

#include <cstddef>
#include <cstdint>

namespace farpoint::cpu {

inline constexpr int kBlockWords = 8;
inline constexpr int kBlockPicks = 64 * kBlockWords;
// Counts of common bits are below 2^kBitPlanes.
inline constexpr int kBitPlanes = 40;

// The numbers of a group's rows that the test takes (core/bit_bound.h), one array of `lanes` numbers after
// the other.
inline constexpr int kBitFactor = 0;
inline constexpr int kBitBias = 1;
inline constexpr int kBitCount = 2;
inline constexpr int kBitNumbers = 3;

inline constexpr int kListSlack = 4;

struct BitKernels {
  int lanes;  // rows in a group

  // How many bits are set in both of two rows of so many bytes.
  using Common = std::int64_t (*)(const std::byte* x, const std::byte* y, std::int64_t bytes);
  Common common;

  // Writes which bits of a row of so many bytes are set, rising; returns how many. `set` has room for every
  // bit and kListSlack numbers more.
  using ListBits = std::int64_t (*)(const std::byte* row, std::int64_t bytes, std::uint32_t* set);
  ListBits list_bits;

  // One pick, of which `count` bits are set, against a group. Bit l of the result: the pair cannot be
  // skipped.
  using ScreenRow = std::uint32_t (*)(const std::uint64_t* group, const double* numbers,
                                      const std::uint64_t* pick, double count, std::int64_t words);
  ScreenRow screen_row;

  // One row, of which the bits set[0], ..., set[n - 1] are set, against a block of picks. survivors[w], bit
  // l: pick 64 w + l has at least least[w] of them, too; no bit where least[w] > n. How many it is: bit i of
  // the number is bit l of planes[i * kBlockWords + w], for i below the number of planes that is returned; 0:
  // there are no survivors.
  using ScreenBlock = int (*)(const std::uint32_t* set, std::int64_t n, const std::uint64_t* block,
                              const std::uint64_t* least, std::uint64_t* planes, std::uint64_t* survivors);
  ScreenBlock screen_block;
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
