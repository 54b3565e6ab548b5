// The coarse screen: int8 inner products of coded rows against a threshold that was proven in
// core/bounds.h (CodeBound).
//
//   codes        row y is coded as y = scale * q + rest, q in [-127, 127]; |scale q| and |rest| are kept
//   survive[p] bit l  <=>
//     float(q_p . q_l) * scale_p * scale_l + norm_l * residual_p + residual_l * reach_p
//       + tail_l * tail_p - bias_p  >  bias_l
//
// Layout. Four columns of a row make one 32-bit lane, the unit of every instruction that multiplies bytes.
// Points are interleaved in groups of kLanes rows, [column / 4][row][4], and stored with 128 added, for
// these instructions take one unsigned side; 128 * sum(q_p), `offset`, is taken away again at the end. Picks
// lie in tiles of kCodeTilePicks rows the same way, signed.
//
// Why nothing saturates: AVX2 adds two products in 16 bits. encode() keeps |q_2j| + |q_2j+1| <= 128, so a
// pair is at most 255 * 128 = 32,640. Sums are exact in 32 bits for up to 2^16 columns (255 * 127 * 2^16
// < 2^31), which CodeBound asks for.
//
// A step takes two vectors of points and broadcasts a few picks, so that loads do not bound it: 8 x 32 sums
// for AVX-512, 4 x 16 for AVX2 (three instructions a product: two multiplications, which bound it, and an
// addition), 2 x 8 for the baseline. Cost: d / 4 steps; the test itself is some 8 instructions a vector.
//
// Included by code_<level>.cpp, which defines FARPOINT_LEVEL, FARPOINT_VECTOR_BYTES and
// FARPOINT_CODE_PICKS, the picks that are multiplied at a time.

namespace farpoint::cpu::FARPOINT_LEVEL {
namespace {

#include "cpu/lanes.inl"

typedef std::int32_t IntVector __attribute__((vector_size(FARPOINT_VECTOR_BYTES)));
typedef std::uint64_t PairVector __attribute__((vector_size(FARPOINT_VECTOR_BYTES)));
typedef std::int8_t CodeVector __attribute__((vector_size(FARPOINT_VECTOR_BYTES / 4)));

constexpr int kInts = FARPOINT_VECTOR_BYTES / 4;
constexpr int kGroupVectors = 2;
constexpr int kStepVectors = kCodeColumns / kFloats;
constexpr int kLanes = kGroupVectors * kInts;
constexpr std::int64_t kGroupBytes = std::int64_t{4} * kLanes;  // of four columns
static_assert(kLanes <= kMaxLanes && kCodeTilePicks % FARPOINT_CODE_PICKS == 0);

inline IntVector broadcast(std::int32_t x) {
  return x - IntVector{};
}

// acc + the inner product of four unsigned bytes (points) with four signed ones (pick) in every lane.
inline IntVector dot4(IntVector acc, IntVector points, IntVector pick) {
#if FARPOINT_VECTOR_BYTES == 64 && defined(__AVX512VNNI__)
  return reinterpret_cast<IntVector>(_mm512_dpbusd_epi32(
      reinterpret_cast<__m512i>(acc), reinterpret_cast<__m512i>(points), reinterpret_cast<__m512i>(pick)));
#elif FARPOINT_VECTOR_BYTES == 64 && defined(__AVX512BW__)
  const __m512i pairs =
      _mm512_maddubs_epi16(reinterpret_cast<__m512i>(points), reinterpret_cast<__m512i>(pick));
  return acc + reinterpret_cast<IntVector>(_mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
#elif FARPOINT_VECTOR_BYTES == 32 && defined(__AVXVNNI__)
  return reinterpret_cast<IntVector>(_mm256_dpbusd_avx_epi32(
      reinterpret_cast<__m256i>(acc), reinterpret_cast<__m256i>(points), reinterpret_cast<__m256i>(pick)));
#elif FARPOINT_VECTOR_BYTES == 32 && defined(__AVX2__)
  const __m256i pairs =
      _mm256_maddubs_epi16(reinterpret_cast<__m256i>(points), reinterpret_cast<__m256i>(pick));
  return acc + reinterpret_cast<IntVector>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#elif FARPOINT_VECTOR_BYTES == 16 && defined(__ARM_FEATURE_DOTPROD)
  // Signed by signed: the points' offset goes, and with it the correction (kPointOffset).
  const IntVector signed_points = points ^ broadcast(static_cast<std::int32_t>(0x80808080U));
  return reinterpret_cast<IntVector>(vdotq_s32(reinterpret_cast<int32x4_t>(acc),
                                               reinterpret_cast<int8x16_t>(signed_points),
                                               reinterpret_cast<int8x16_t>(pick)));
#elif FARPOINT_VECTOR_BYTES == 16 && defined(__SSE2__)
  // Even and odd bytes as 16-bit numbers.
  const auto p = reinterpret_cast<__m128i>(points);
  const auto q = reinterpret_cast<__m128i>(pick);
  const __m128i even =
      _mm_madd_epi16(_mm_and_si128(p, _mm_set1_epi16(0x00ff)), _mm_srai_epi16(_mm_slli_epi16(q, 8), 8));
  const __m128i odd = _mm_madd_epi16(_mm_srli_epi16(p, 8), _mm_srai_epi16(q, 8));
  return acc + reinterpret_cast<IntVector>(_mm_add_epi32(even, odd));
#else
  for (int byte = 0; byte < 4; ++byte) {
    acc += ((points >> (8 * byte)) & 255) * ((pick << (24 - 8 * byte)) >> 24);
  }
  return acc;
#endif
}

#if FARPOINT_VECTOR_BYTES == 16 && defined(__ARM_FEATURE_DOTPROD)
constexpr std::int32_t kPointOffset = 0;
#else
constexpr std::int32_t kPointOffset = 128;
#endif

inline float round_up(double x) {
  return static_cast<float>(x * (1.0 + 0x1p-20) + 0x1p-140);
}

// One step of a row, as vectors.
struct Step {
  FloatVector values[kStepVectors];
};

// Columns from j on; zeros beyond d.
inline Step load_step(const float* row, std::int64_t j, std::int64_t d) {
  Step step;
  if (j + kCodeColumns <= d) {
    __builtin_memcpy(&step, row + j, sizeof step);
    return step;
  }
  float columns[kCodeColumns] = {};
  for (std::int64_t i = 0; i < d - j; ++i) {
    columns[i] = row[j + i];
  }
  __builtin_memcpy(&step, columns, sizeof step);
  return step;
}

// Every lane's neighbour of its pair.
inline FloatVector swap_pairs(FloatVector x) {
  const auto pairs = reinterpret_cast<PairVector>(x);
  return reinterpret_cast<FloatVector>(pairs >> 32 | pairs << 32);
}

// Codes a packed row; writes scale, norm, residual and offset, and residuals[s]: at least |rest| of the first
// s + 1 steps.
//
// scale is such that |y_j| / scale <= 127 and (|y_2j| + |y_2j+1|) / scale <= 127: after rounding (an error of
// at most 1/2 each, and 2^-22 of 127 in the quotient) |q_j| <= 127 and |q_2j| + |q_2j+1| <= 128, since
// both are whole numbers. Nothing else depends on how y was rounded: the rest is measured.
void encode(const float* row, std::int64_t d, std::int64_t padded, std::int8_t* codes, RowCode* numbers,
            float* residuals) {
  FloatVector most = {};
  for (std::int64_t j = 0; j < d; j += kCodeColumns) {
    const Step step = load_step(row, j, d);
    for (const FloatVector& x : step.values) {
      const FloatVector magnitude = x < 0 ? -x : x;
      const FloatVector pair = magnitude + swap_pairs(magnitude);
      most = pair > most ? pair : most;
    }
  }
  float largest = 0;
  for (int l = 0; l < kFloats; ++l) {
    largest = most[l] > largest ? most[l] : largest;
  }
  // Below the smallest normal number quotients would lose their precision; such a row is coded as 0.
  const float scale = largest / 127 < 0x1p-126F ? 1.0F : largest / 127;
  const float inverse = 1.0F / scale;
  constexpr float kRound = 0x1.8p+23F;  // adding it rounds to a whole number
  DoubleVector rests = {};
  std::int64_t squares = 0;
  std::int32_t sum = 0;
  for (std::int64_t j = 0; j < padded; j += kCodeColumns) {
    const Step step = load_step(row, j, d);
    IntVector step_squares = {};
    IntVector step_sums = {};
    for (int v = 0; v < kStepVectors; ++v) {
      const FloatVector x = step.values[v];
      const FloatVector whole = (x * inverse + kRound) - kRound;
      const auto code = __builtin_convertvector(whole, IntVector);
      store(codes + j + std::int64_t{v} * kInts, __builtin_convertvector(code, CodeVector));
      step_sums += code;
      step_squares += code * code;
      float values[kFloats];
      float wholes[kFloats];
      store(values, x);
      store(wholes, whole);
      for (int half = 0; half < kFloats; half += kDoubles) {
        const DoubleVector rest =
            __builtin_convertvector(load<HalfFloatVector>(values + half), DoubleVector) -
            static_cast<double>(scale) *
                __builtin_convertvector(load<HalfFloatVector>(wholes + half), DoubleVector);
        rests += rest * rest;
      }
    }
    for (int l = 0; l < kInts; ++l) {
      sum += step_sums[l];
      squares += step_squares[l];
    }
    if (residuals != nullptr) {
      double residual = 0;
      for (int l = 0; l < kDoubles; ++l) {
        residual += rests[l];
      }
      residuals[j / kCodeColumns] = round_up(__builtin_sqrt(residual));
    }
  }
  double residual = 0;
  for (int l = 0; l < kDoubles; ++l) {
    residual += rests[l];
  }
  numbers->scale = scale;
  numbers->norm = round_up(static_cast<double>(scale) * __builtin_sqrt(static_cast<double>(squares)));
  numbers->residual = round_up(__builtin_sqrt(residual));
  numbers->offset = kPointOffset * sum;
}

// A group of rows; a null row is all zeros.
void interleave(const std::int8_t* const* rows, std::int64_t padded, std::uint8_t* group) {
  for (int l = 0; l < kLanes; ++l) {
    for (std::int64_t c = 0; c < padded / 4; ++c) {
      std::uint32_t four = 0;
      if (rows[l] != nullptr) {
        __builtin_memcpy(&four, rows[l] + 4 * c, 4);
      }
      four ^= 0x80808080U;
      __builtin_memcpy(group + (c * kLanes + l) * 4, &four, 4);
    }
  }
}

inline const float* lane_numbers(const float* lane, int which) {
  return lane + static_cast<std::ptrdiff_t>(which) * kLanes;
}

// The test, for one pick and one vector of points; `lane` points at the first of its lanes.
inline std::uint32_t test(IntVector sum, const float* lane, const PickCode& pick) {
  const auto dot = __builtin_convertvector(sum - broadcast(pick.offset), FloatVector);
  const auto norm = load<FloatVector>(lane_numbers(lane, kLaneNorm));
  const auto residual = load<FloatVector>(lane_numbers(lane, kLaneResidual));
  const auto tail = load<FloatVector>(lane_numbers(lane, kLaneTail));
  const auto scale = load<FloatVector>(lane_numbers(lane, kLaneScale));
  const FloatVector most = dot * (scale * pick.scale) +
                           (norm * pick.residual + (residual * pick.reach + (tail * pick.tail - pick.bias)));
  return greater_mask(most, load<FloatVector>(lane_numbers(lane, kLaneBias)));
}

template <int kPicks>
struct PickSums {
  IntVector sums[kPicks][kGroupVectors];
};

// Inner products of a group with kPicks picks of a tile, their offsets included.
template <int kPicks>
inline PickSums<kPicks> multiply_picks(const std::uint8_t* group, const std::int8_t* tile,
                                       std::int64_t padded) {
  PickSums<kPicks> out = {};
  for (std::int64_t c = 0; c < padded / 4; ++c) {
    const auto point0 = load<IntVector>(group + c * kGroupBytes);
    const auto point1 = load<IntVector>(group + c * kGroupBytes + FARPOINT_VECTOR_BYTES);
#pragma GCC unroll 16
    for (int p = 0; p < kPicks; ++p) {
      std::int32_t four = 0;
      __builtin_memcpy(&four, tile + (c * kCodeTilePicks + p) * 4, 4);
      const IntVector pick = broadcast(four);
      out.sums[p][0] = dot4(out.sums[p][0], point0, pick);
      out.sums[p][1] = dot4(out.sums[p][1], point1, pick);
    }
  }
  return out;
}

template <int kPicks>
inline std::uint32_t screen_picks(const std::uint8_t* group, const float* lanes, const std::int8_t* tile,
                                  const PickCode* picks, std::int64_t padded, std::uint32_t* survivors) {
  const PickSums<kPicks> products = multiply_picks<kPicks>(group, tile, padded);
  std::uint32_t any = 0;
#pragma GCC unroll 16
  for (int p = 0; p < kPicks; ++p) {
    survivors[p] = test(products.sums[p][0], lanes, picks[p]) |
                   test(products.sums[p][1], lanes + kInts, picks[p]) << kInts;
    any |= survivors[p];
  }
  return any;
}

// out[p * kLanes + l] = the inner product of pick p and point l.
void product_tile(const std::uint8_t* group, const std::int8_t* tile, const PickCode* picks,
                  std::int64_t padded, std::int32_t* out) {
  for (int first = 0; first < kCodeTilePicks; first += FARPOINT_CODE_PICKS) {
    const auto products =
        multiply_picks<FARPOINT_CODE_PICKS>(group, tile + static_cast<std::ptrdiff_t>(first) * 4, padded);
    for (int p = 0; p < FARPOINT_CODE_PICKS; ++p) {
      std::int32_t* row = out + static_cast<std::ptrdiff_t>(first + p) * kLanes;
      store(row, products.sums[p][0] - broadcast(picks[first + p].offset));
      store(row + kInts, products.sums[p][1] - broadcast(picks[first + p].offset));
    }
  }
}

bool screen_tile(const std::uint8_t* group, const float* lanes, const std::int8_t* tile,
                 const PickCode* picks, std::int64_t padded, std::uint32_t* survivors) {
  std::uint32_t any = 0;
  for (int p = 0; p < kCodeTilePicks; p += FARPOINT_CODE_PICKS) {
    any |= screen_picks<FARPOINT_CODE_PICKS>(group, lanes, tile + static_cast<std::ptrdiff_t>(p) * 4,
                                             picks + p, padded, survivors + p);
  }
  return any != 0;
}

// One contiguous pick: independent sums hide the latency of the additions.
std::uint32_t screen_row(const std::uint8_t* group, const float* lanes, const std::int8_t* pick,
                         const PickCode& numbers, std::int64_t padded) {
  constexpr int kChains = 4;
  IntVector sums[kChains][kGroupVectors] = {};
  for (std::int64_t c = 0; c < padded / 4; c += kChains) {  // padded is a multiple of 32
#pragma GCC unroll 4
    for (int i = 0; i < kChains; ++i) {
      std::int32_t four = 0;
      __builtin_memcpy(&four, pick + (c + i) * 4, 4);
      const std::uint8_t* points = group + (c + i) * kGroupBytes;
      sums[i][0] = dot4(sums[i][0], load<IntVector>(points), broadcast(four));
      sums[i][1] = dot4(sums[i][1], load<IntVector>(points + FARPOINT_VECTOR_BYTES), broadcast(four));
    }
  }
  const IntVector sum0 = (sums[0][0] + sums[1][0]) + (sums[2][0] + sums[3][0]);
  const IntVector sum1 = (sums[0][1] + sums[1][1]) + (sums[2][1] + sums[3][1]);
  return test(sum0, lanes, numbers) | test(sum1, lanes + kInts, numbers) << kInts;
}

#if defined(__AVX2__)
// sum + 32 products of signed bytes: |x| * (sign(x) y) is unsigned by signed, at most 127 * 128 a pair.
inline __m256i dot32(__m256i sum, __m256i magnitude, __m256i x, __m256i y) {
  const __m256i other = _mm256_sign_epi8(y, x);
#if defined(__AVX512VNNI__)
  return _mm256_dpbusd_epi32(sum, magnitude, other);
#elif defined(__AVXVNNI__)
  return _mm256_dpbusd_avx_epi32(sum, magnitude, other);
#else
  const __m256i pairs = _mm256_maddubs_epi16(magnitude, other);
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}

// The inner products of a row and four others, `padded` bytes apart.
inline __m128i dot_four(const std::int8_t* row, const std::int8_t* others, std::int64_t padded) {
  __m256i sum0 = _mm256_setzero_si256();
  __m256i sum1 = _mm256_setzero_si256();
  __m256i sum2 = _mm256_setzero_si256();
  __m256i sum3 = _mm256_setzero_si256();
  for (std::int64_t j = 0; j < padded; j += kCodeColumns) {
    const std::int8_t* at_j = others + j;
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + j));
    const __m256i magnitude = _mm256_abs_epi8(x);
    sum0 = dot32(sum0, magnitude, x, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at_j)));
    sum1 = dot32(sum1, magnitude, x, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at_j + padded)));
    sum2 = dot32(sum2, magnitude, x, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at_j + 2 * padded)));
    sum3 = dot32(sum3, magnitude, x, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at_j + 3 * padded)));
  }
  const __m256i halves = _mm256_hadd_epi32(_mm256_hadd_epi32(sum0, sum1), _mm256_hadd_epi32(sum2, sum3));
  return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

inline std::int32_t dot_one(const std::int8_t* row, const std::int8_t* other, std::int64_t padded) {
  __m256i sum = _mm256_setzero_si256();
  for (std::int64_t j = 0; j < padded; j += kCodeColumns) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + j));
    sum = dot32(sum, _mm256_abs_epi8(x), x, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(other + j)));
  }
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
  return _mm_cvtsi128_si32(half);
}
#else
inline std::int32_t dot_one(const std::int8_t* row, const std::int8_t* other, std::int64_t padded) {
  std::int32_t sum = 0;
  for (std::int64_t j = 0; j < padded; ++j) {
    sum += row[j] * other[j];
  }
  return sum;
}
#endif

// out[i] = the inner product of two coded rows, signed by signed, row i of the list at list + i * padded.
void dots(const std::int8_t* row, const std::int8_t* list, std::int64_t count, std::int64_t padded,
          std::int32_t* out) {
  std::int64_t i = 0;
#if defined(__AVX2__)
  for (; i + 4 <= count; i += 4) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), dot_four(row, list + i * padded, padded));
  }
#endif
  for (; i < count; ++i) {
    out[i] = dot_one(row, list + i * padded, padded);
  }
}

}  // namespace

const CodeKernels& code_kernels() {
  static constexpr CodeKernels kernels = {kLanes,      kPointOffset, encode, interleave,
                                          screen_tile, screen_row,   dots,   product_tile};
  return kernels;
}

}  // namespace farpoint::cpu::FARPOINT_LEVEL
