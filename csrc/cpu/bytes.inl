// Rows as bytes, for manhattan and chebyshev: one instruction compares a vector of them.
//
//   codes      q_j = round(x_j / step) + 128, between 0 and 255;  x_j = step (q_j - 128) + rest_j
//   distance   sum_j |q_j - p_j|  or  max_j |q_j - p_j|, exact whole numbers below 2^24
//   survive[p] bit l  <=>  -distance(pick p, point l)  >  point_bias[l] + pick_bias[p]
//
// The bound is in core/difference_bound.h. Eight columns of a row are one word of 64 bits. A group has kLanes
// points, two vectors of words wide; a step loads both and broadcasts kTilePicks words of picks. For
// manhattan the sum of eight absolute differences (SAD) falls into the word that they come from; for
// chebyshev bytes keep their own maxima until the end. The two vectors of a pick then become one of 32-bit
// numbers, those of the second in the upper halves: so point l of a group is word l / 2 of vector l mod 2
// (byte_place).
//
// Why bytes of one scale: |x - y| has no expansion into products, so a scale a row, as in code.inl, would
// leave a multiplication an element. Measured with AVX2, d = 384, rows in the second-level cache, billion
// terms a second: 153 (manhattan) and 81 (chebyshev), where the float32 screen has 23; baseline: 63 and 36,
// where it has 11.
//
// Included by bytes_<level>.cpp, which defines FARPOINT_LEVEL, FARPOINT_VECTOR_BYTES and
// FARPOINT_TILE_PICKS.

namespace farpoint::cpu::FARPOINT_LEVEL {
namespace {

#include "cpu/lanes.inl"

typedef std::uint8_t ByteVector __attribute__((vector_size(FARPOINT_VECTOR_BYTES)));
typedef std::uint64_t WordVector __attribute__((vector_size(FARPOINT_VECTOR_BYTES)));

constexpr int kGroupVectors = 2;
constexpr int kLanes = kFloats;
constexpr int kTilePicks = FARPOINT_TILE_PICKS;
static_assert(kLanes <= kMaxLanes && kTilePicks <= kMaxTilePicks);

// By name where the compiler has one: it does not find the instruction in any expression.
inline WordVector sums_of_differences(WordVector a, WordVector b) {
#if FARPOINT_VECTOR_BYTES == 64 && defined(__AVX512BW__)
  return reinterpret_cast<WordVector>(
      _mm512_sad_epu8(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif FARPOINT_VECTOR_BYTES == 32 && defined(__AVX2__)
  return reinterpret_cast<WordVector>(
      _mm256_sad_epu8(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif FARPOINT_VECTOR_BYTES == 16 && defined(__SSE2__)
  return reinterpret_cast<WordVector>(
      _mm_sad_epu8(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  const auto x = reinterpret_cast<ByteVector>(a);
  const auto y = reinterpret_cast<ByteVector>(b);
  auto sums = reinterpret_cast<WordVector>((x > y ? x : y) - (x > y ? y : x));
  sums = (sums & 0x00ff00ff00ff00ffU) + (sums >> 8 & 0x00ff00ff00ff00ffU);
  sums = (sums & 0x0000ffff0000ffffU) + (sums >> 16 & 0x0000ffff0000ffffU);
  return (sums & 0xffffffffU) + (sums >> 32);
#endif
}

inline WordVector larger_bytes(WordVector a, WordVector b) {
  const auto x = reinterpret_cast<ByteVector>(a);
  const auto y = reinterpret_cast<ByteVector>(b);
  return reinterpret_cast<WordVector>(x > y ? x : y);
}

struct Manhattan {
  static WordVector add(WordVector sum, WordVector points, WordVector pick) {
    return sum + sums_of_differences(points, pick);
  }
  static WordVector finish(WordVector sum) { return sum; }
  static double join(double sum, double rest) { return sum + rest; }
};
struct Chebyshev {
  static WordVector add(WordVector largest, WordVector points, WordVector pick) {
    const auto x = reinterpret_cast<ByteVector>(points);
    const auto y = reinterpret_cast<ByteVector>(pick);
    const ByteVector difference = (x > y ? x : y) - (x > y ? y : x);
    return larger_bytes(largest, reinterpret_cast<WordVector>(difference));
  }
  static WordVector finish(WordVector largest) {
    largest = larger_bytes(largest, largest >> 32);
    largest = larger_bytes(largest, largest >> 16);
    return larger_bytes(largest, largest >> 8) & 0xff;
  }
  static double join(double largest, double rest) { return largest > rest ? largest : rest; }
};

// Bit l: point l survives against a pick with these sums.
template <class Metric>
inline std::uint32_t survivors_of(WordVector even, WordVector odd, FloatVector bias) {
  const WordVector both = Metric::finish(even) | Metric::finish(odd) << 32;
  const FloatVector distance = __builtin_convertvector(reinterpret_cast<IntVector>(both), FloatVector);
  return greater_mask(-distance, bias);
}

template <class Metric>
bool screen_tile(const std::uint64_t* group, const std::uint64_t* tile, std::int64_t words,
                 const float* point_bias, const float* pick_bias, std::uint32_t* survivors) {
  WordVector sums[kTilePicks][kGroupVectors] = {};
  for (std::int64_t c = 0; c < words; ++c) {
    const auto even = load<WordVector>(group + c * kLanes);
    const auto odd = load<WordVector>(group + c * kLanes + kDoubles);
#pragma GCC unroll 16
    for (int p = 0; p < kTilePicks; ++p) {
      const WordVector pick = tile[c * kTilePicks + p] - WordVector{};
      sums[p][0] = Metric::add(sums[p][0], even, pick);
      sums[p][1] = Metric::add(sums[p][1], odd, pick);
    }
  }
  const auto bias = load<FloatVector>(point_bias);
  std::uint32_t any = 0;
#pragma GCC unroll 16
  for (int p = 0; p < kTilePicks; ++p) {
    survivors[p] = survivors_of<Metric>(sums[p][0], sums[p][1], bias + pick_bias[p]);
    any |= survivors[p];
  }
  return any != 0;
}

template <class Metric>
std::uint32_t screen_row(const std::uint64_t* group, const std::uint64_t* pick, std::int64_t words,
                         const float* point_bias, float pick_bias) {
  WordVector even = {};
  WordVector odd = {};
  for (std::int64_t c = 0; c < words; ++c) {
    const WordVector word = pick[c] - WordVector{};
    even = Metric::add(even, load<WordVector>(group + c * kLanes), word);
    odd = Metric::add(odd, load<WordVector>(group + c * kLanes + kDoubles), word);
  }
  return survivors_of<Metric>(even, odd, load<FloatVector>(point_bias) + pick_bias);
}

// Codes that are not the nearest would only leave more to the rest, which is measured as it is: step * (q -
// 128) is exact in float64, and its difference from x is rounded once.
template <class Metric>
double encode(const float* row, std::int64_t d, float step, std::uint8_t* codes) {
  const float inverse = 1.0F / step;
  double result = 0;
  for (std::int64_t j = 0; j < d; ++j) {
    float place = row[j] * inverse + 128.5F;
    place = place > 0.0F ? place : 0.0F;
    place = place < 255.0F ? place : 255.0F;
    const auto code = static_cast<std::int32_t>(place);
    codes[j] = static_cast<std::uint8_t>(code);
    const double rest = static_cast<double>(row[j]) - static_cast<double>(step) * (code - 128);
    result = Metric::join(result, rest < 0 ? -rest : rest);
  }
  return result;
}

}  // namespace

const ByteKernels& byte_kernels() {
  static constexpr ByteKernels kernels = {
      kLanes,
      kTilePicks,
      {encode<Manhattan>, screen_tile<Manhattan>, screen_row<Manhattan>},
      {encode<Chebyshev>, screen_tile<Chebyshev>, screen_row<Chebyshev>},
  };
  return kernels;
}

}  // namespace farpoint::cpu::FARPOINT_LEVEL
