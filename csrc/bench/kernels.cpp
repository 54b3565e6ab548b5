// How near the screens come to what the processor can multiply: each kernel on rows in the second-level
// cache, against the same instructions on registers alone. `make bench-kernels` runs it.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "cpu/points.h"

namespace {

using farpoint::Index;
using farpoint::cpu::SimdLevel;
using Clock = std::chrono::steady_clock;

constexpr int kRepeats = 40;

// The best of several runs, in units of 10^9 multiply-adds a second.
template <class Run>
double rate(double multiply_adds, const Run& run) {
  double best = 1e99;
  for (int i = 0; i < kRepeats; ++i) {
    const auto began = Clock::now();
    run();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - began).count());
  }
  return multiply_adds / best / 1e9;
}

#if defined(__x86_64__)
constexpr int kChains = 10;
constexpr long kSteps = 200000;

__attribute__((target("avx2"))) int bytes_avx2() {
  __m256i sums[kChains];  // all different, or the compiler would make one of them
  for (int c = 0; c < kChains; ++c) {
    sums[c] = _mm256_set1_epi32(c);
  }
  __m256i x = _mm256_set1_epi8(3);
  const __m256i ones = _mm256_set1_epi16(1);
  for (long i = 0; i < kSteps; ++i) {
#pragma GCC unroll 10
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm256_add_epi32(sums[c], _mm256_madd_epi16(_mm256_maddubs_epi16(x, sums[c]), ones));
    }
    asm volatile("" : "+x"(x));
  }
  __m256i all = sums[0];
  for (const __m256i& sum : sums) {
    all = _mm256_xor_si256(all, sum);
  }
  return _mm_cvtsi128_si32(_mm256_castsi256_si128(all));
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) int bytes_avx512vnni() {
  __m512i sums[kChains];
  for (int c = 0; c < kChains; ++c) {
    sums[c] = _mm512_set1_epi32(c);
  }
  __m512i x = _mm512_set1_epi8(3);
  for (long i = 0; i < kSteps; ++i) {
#pragma GCC unroll 10
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_dpbusd_epi32(sums[c], x, x);
    }
    asm volatile("" : "+v"(x));
  }
  __m512i all = sums[0];
  for (const __m512i& sum : sums) {
    all ^= sum;
  }
  int first = 0;
  __builtin_memcpy(&first, &all, sizeof first);
  return first;
}

// What the instructions of the level's byte kernel reach without loads; 0: not measured.
double peak(SimdLevel level) {
  volatile int sink = 0;
  if (level == SimdLevel::avx2) {
    return rate(32.0 * kChains * kSteps, [&] { sink = bytes_avx2(); });
  }
  if (level == SimdLevel::avx512vnni) {
    return rate(64.0 * kChains * kSteps, [&] { sink = bytes_avx512vnni(); });
  }
  return 0;
}
#else
double peak(SimdLevel /*level*/) {
  return 0;
}
#endif

struct Rates {
  double floats;
  double tile;
  double row;
};

Rates measure(SimdLevel level, Index d) {
  const auto set = farpoint::cpu::kernel_set(level);
  const Index tiles = 32;
  const auto at = [](Index i) { return static_cast<std::size_t>(i); };
  Rates rates{};
  {
    const auto& kernels = *set.code;
    const Index groups = std::max<Index>(1, 131072 / (kernels.lanes * d));
    const std::vector<std::uint8_t> points(at(groups * kernels.lanes * d), 130);
    std::vector<float> numbers(at(groups * kernels.lanes * farpoint::cpu::kLaneNumbers), 1.0F);
    for (Index g = 0; g < groups; ++g) {  // nothing survives
      std::fill_n(numbers.begin() + g * kernels.lanes * farpoint::cpu::kLaneNumbers, kernels.lanes,
                  std::numeric_limits<float>::max());
    }
    const std::vector<std::int8_t> picks(at(tiles * farpoint::cpu::kCodeTilePicks * d), 3);
    const std::vector<farpoint::cpu::PickCode> pick_numbers(farpoint::cpu::kCodeTilePicks);
    std::array<std::uint32_t, farpoint::cpu::kMaxTilePicks> survivors{};
    const auto group = [&](Index g) { return points.data() + g * kernels.lanes * d; };
    const auto lanes = [&](Index g) {
      return numbers.data() + g * kernels.lanes * farpoint::cpu::kLaneNumbers;
    };
    const double pairs = static_cast<double>(tiles * groups * kernels.lanes);
    rates.tile = rate(pairs * farpoint::cpu::kCodeTilePicks * static_cast<double>(d), [&] {
      for (Index t = 0; t < tiles; ++t) {
        for (Index g = 0; g < groups; ++g) {
          kernels.screen_tile(group(g), lanes(g), picks.data() + t * farpoint::cpu::kCodeTilePicks * d,
                              pick_numbers.data(), d, survivors.data());
        }
      }
    });
    rates.row = rate(pairs * static_cast<double>(d), [&] {
      for (Index t = 0; t < tiles; ++t) {
        for (Index g = 0; g < groups; ++g) {
          survivors[0] |= kernels.screen_row(group(g), lanes(g), picks.data() + t * d, pick_numbers[0], d);
        }
      }
    });
  }
  const auto& kernels = *set.screen;
  const Index groups = std::max<Index>(1, 131072 / (kernels.lanes * d * 4));
  const std::vector<float> points(at(groups * kernels.lanes * d), 1.0F);
  const std::vector<float> picks(at(tiles * kernels.tile_picks * d), 1.0F);
  const std::vector<float> bias(farpoint::cpu::kMaxLanes, std::numeric_limits<float>::max());
  std::array<std::uint32_t, farpoint::cpu::kMaxTilePicks> survivors{};
  rates.floats = rate(static_cast<double>(tiles * groups * kernels.lanes * kernels.tile_picks * d), [&] {
    for (Index t = 0; t < tiles; ++t) {
      for (Index g = 0; g < groups; ++g) {
        kernels.product.tile(points.data() + g * kernels.lanes * d, picks.data() + t * kernels.tile_picks * d,
                             d, bias.data(), bias.data(), survivors.data());
      }
    }
  });
  return rates;
}

}  // namespace

int main() {
  std::printf("One thread, 10^9 multiply-adds a second\n\n");
  std::printf(
      "| level | columns | float32 tile | codes, tile | codes, one pick | byte peak | tile / peak |\n");
  std::printf("|---|---:|---:|---:|---:|---:|---:|\n");
  for (const SimdLevel level : farpoint::cpu::usable_simd_levels()) {
    const std::string name(farpoint::cpu::simd_level_name(level));
    const double byte_peak = peak(level);
    for (const Index d : {Index{64}, Index{192}, Index{384}, Index{768}}) {
      const Rates rates = measure(level, d);
      std::printf("| %s | %d | %.1f | %.1f | %.1f | ", name.c_str(), static_cast<int>(d), rates.floats,
                  rates.tile, rates.row);
      if (byte_peak > 0) {
        std::printf("%.1f | %.0f%% |\n", byte_peak, 100 * rates.tile / byte_peak);
      } else {
        std::printf("- | - |\n");
      }
    }
  }
  return 0;
}
