// Screening of packed bits: counts of common bits, exact, against a threshold proven in core/bit_bound.h.
//
//   survive[p] bit l  <=>  sum_w popcount(tile[w, p] & group[w, l])  >  factor[l] * counts[p] + bias[l]
//
// A block of P picks x 2 vectors of 64-bit lanes is counted at a time, P = 4 in a tile. Every byte counts its
// own bits, at most 8 a word, so 31 words fit a byte before bytes are added up to their lanes.
//
// Counting bits of a vector: a table of 16 nibbles by a byte shuffle where there is one (8 operations with
// the sum), NEON's own instruction, else the halving sums of Hacker's Delight. Counts of whole groups come
// first: where min(a, b) decides for every lane no word is read.
//
// Included by bits_<level>.cpp, which defines FARPOINT_LEVEL and FARPOINT_VECTOR_BYTES.

namespace farpoint::cpu::FARPOINT_LEVEL {
namespace {

constexpr int kWordsOfVector = FARPOINT_VECTOR_BYTES / 8;
constexpr int kGroupVectors = 2;
constexpr int kLanes = kGroupVectors * kWordsOfVector;
constexpr std::int64_t kWordsOfBytes = 31;

typedef std::uint64_t Words __attribute__((vector_size(FARPOINT_VECTOR_BYTES)));
typedef std::uint8_t Bytes __attribute__((vector_size(FARPOINT_VECTOR_BYTES)));
typedef double Doubles __attribute__((vector_size(FARPOINT_VECTOR_BYTES)));

template <class Vector, class T>
inline Vector load(const T* from) {
  Vector v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

// Bits of every byte.
inline Bytes bits_of_bytes(Words v) {
#if FARPOINT_VECTOR_BYTES == 64 && defined(__AVX512BW__)
  const __m512i table = _mm512_set4_epi32(0x04030302, 0x03020201, 0x03020201, 0x02010100);
  const __m512i nibbles = _mm512_set1_epi8(15);
  const auto bits = reinterpret_cast<__m512i>(v);
  const __m512i low = _mm512_shuffle_epi8(table, _mm512_and_si512(bits, nibbles));
  const __m512i high = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(bits, 4), nibbles));
  return reinterpret_cast<Bytes>(_mm512_add_epi8(low, high));
#elif FARPOINT_VECTOR_BYTES == 32 && defined(__AVX2__)
  const __m256i table =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m256i nibbles = _mm256_set1_epi8(15);
  const auto bits = reinterpret_cast<__m256i>(v);
  const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(bits, nibbles));
  const __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(bits, 4), nibbles));
  return reinterpret_cast<Bytes>(_mm256_add_epi8(low, high));
#elif defined(__ARM_NEON)
  return reinterpret_cast<Bytes>(vcntq_u8(reinterpret_cast<uint8x16_t>(v)));
#else
  v = v - ((v >> 1) & 0x5555555555555555ULL);
  v = (v & 0x3333333333333333ULL) + ((v >> 2) & 0x3333333333333333ULL);
  return reinterpret_cast<Bytes>((v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fULL);
#endif
}

// The eight bytes of every word, added.
inline Words sums_of_bytes(Bytes v) {
#if FARPOINT_VECTOR_BYTES == 64 && defined(__AVX512BW__)
  return reinterpret_cast<Words>(_mm512_sad_epu8(reinterpret_cast<__m512i>(v), _mm512_setzero_si512()));
#elif FARPOINT_VECTOR_BYTES == 32 && defined(__AVX2__)
  return reinterpret_cast<Words>(_mm256_sad_epu8(reinterpret_cast<__m256i>(v), _mm256_setzero_si256()));
#elif defined(__SSE2__)
  return reinterpret_cast<Words>(_mm_sad_epu8(reinterpret_cast<__m128i>(v), _mm_setzero_si128()));
#else
  const auto words = reinterpret_cast<Words>(v);
  const Words pairs = (words & 0x00ff00ff00ff00ffULL) + ((words >> 8) & 0x00ff00ff00ff00ffULL);
  const Words fours = (pairs & 0x0000ffff0000ffffULL) + ((pairs >> 16) & 0x0000ffff0000ffffULL);
  return (fours & 0xffffffffULL) + (fours >> 32);
#endif
}

// Exact: whole numbers below 2^52 take the mantissa of a number with exponent 52.
inline Doubles to_doubles(Words counts) {
  constexpr std::uint64_t kTwoTo52 = 0x4330000000000000ULL;
  return reinterpret_cast<Doubles>(counts | kTwoTo52) - 0x1p52;
}

// Bit l: a[l] > b[l].
inline std::uint32_t greater_mask(Doubles a, Doubles b) {
#if FARPOINT_VECTOR_BYTES == 64 && defined(__AVX512F__)
  return _mm512_cmp_pd_mask(reinterpret_cast<__m512d>(a), reinterpret_cast<__m512d>(b), _CMP_GT_OQ);
#elif FARPOINT_VECTOR_BYTES == 32 && defined(__AVX__)
  return static_cast<std::uint32_t>(_mm256_movemask_pd(
      _mm256_cmp_pd(reinterpret_cast<__m256d>(a), reinterpret_cast<__m256d>(b), _CMP_GT_OQ)));
#elif FARPOINT_VECTOR_BYTES == 16 && defined(__SSE2__)
  return static_cast<std::uint32_t>(
      _mm_movemask_pd(_mm_cmpgt_pd(reinterpret_cast<__m128d>(a), reinterpret_cast<__m128d>(b))));
#else
  std::uint32_t mask = 0;
  for (int l = 0; l < kWordsOfVector; ++l) {
    mask |= static_cast<std::uint32_t>(a[l] > b[l]) << l;
  }
  return mask;
#endif
}

// What a pick's number of common bits must be above.
struct Thresholds {
  Doubles of[kGroupVectors];
};
inline Thresholds thresholds(const double* numbers, double count) {
  Thresholds t;
  for (int v = 0; v < kGroupVectors; ++v) {
    const auto factor = load<Doubles>(numbers + kBitFactor * kLanes + v * kWordsOfVector);
    const auto bias = load<Doubles>(numbers + kBitBias * kLanes + v * kWordsOfVector);
    t.of[v] = factor * count + bias;
  }
  return t;
}

// Whether the numbers of bits alone leave a lane over.
inline bool counts_leave_any(const double* numbers, double count, const Thresholds& t) {
  std::uint32_t any = 0;
  for (int v = 0; v < kGroupVectors; ++v) {
    const auto own = load<Doubles>(numbers + kBitCount * kLanes + v * kWordsOfVector);
    const Doubles other = count + Doubles{};
    any |= greater_mask(own < other ? own : other, t.of[v]);
  }
  return any != 0;
}

template <int kPicks>
struct CommonBits {
  Words of[kPicks][kGroupVectors];
};

// Of kPicks picks, word w of pick p at picks[w * kPicks + p].
template <int kPicks>
inline CommonBits<kPicks> common_bits(const std::uint64_t* group, const std::uint64_t* picks,
                                      std::int64_t words) {
  CommonBits<kPicks> sums = {};
  for (std::int64_t begin = 0; begin < words; begin += kWordsOfBytes) {
    const std::int64_t end = words - begin < kWordsOfBytes ? words : begin + kWordsOfBytes;
    Bytes bytes[kPicks][kGroupVectors] = {};
    for (std::int64_t w = begin; w < end; ++w) {
      Words point[kGroupVectors];
      for (int v = 0; v < kGroupVectors; ++v) {
        point[v] = load<Words>(group + w * kLanes + v * kWordsOfVector);
      }
#pragma GCC unroll 4
      for (int p = 0; p < kPicks; ++p) {
        const std::uint64_t pick = picks[w * kPicks + p];
        for (int v = 0; v < kGroupVectors; ++v) {
          bytes[p][v] += bits_of_bytes(point[v] & pick);
        }
      }
    }
#pragma GCC unroll 4
    for (int p = 0; p < kPicks; ++p) {
      for (int v = 0; v < kGroupVectors; ++v) {
        sums.of[p][v] += sums_of_bytes(bytes[p][v]);
      }
    }
  }
  return sums;
}

inline std::uint32_t survivors_of(const Words (&common)[kGroupVectors], const Thresholds& t) {
  std::uint32_t mask = 0;
  for (int v = 0; v < kGroupVectors; ++v) {
    mask |= greater_mask(to_doubles(common[v]), t.of[v]) << (v * kWordsOfVector);
  }
  return mask;
}

bool screen_tile(const std::uint64_t* group, const double* numbers, const std::uint64_t* tile,
                 const double* counts, std::int64_t words, std::uint32_t* survivors) {
  Thresholds t[kBitTilePicks];
  bool left = false;
  for (int p = 0; p < kBitTilePicks; ++p) {
    t[p] = thresholds(numbers, counts[p]);
    left |= counts_leave_any(numbers, counts[p], t[p]);
  }
  if (!left) {
    return false;
  }
  const auto common = common_bits<kBitTilePicks>(group, tile, words);
  std::uint32_t any = 0;
  for (int p = 0; p < kBitTilePicks; ++p) {
    survivors[p] = survivors_of(common.of[p], t[p]);
    any |= survivors[p];
  }
  return any != 0;
}

std::uint32_t screen_row(const std::uint64_t* group, const double* numbers, const std::uint64_t* pick,
                         double count, std::int64_t words) {
  const Thresholds t = thresholds(numbers, count);
  if (!counts_leave_any(numbers, count, t)) {
    return 0;
  }
  return survivors_of(common_bits<1>(group, pick, words).of[0], t);
}

inline std::int64_t bits_of(std::uint64_t v) {
#if defined(__POPCNT__) || defined(__aarch64__)
  return __builtin_popcountll(v);
#else
  // The compiler would call a function that looks up every byte.
  v = v - ((v >> 1) & 0x5555555555555555ULL);
  v = (v & 0x3333333333333333ULL) + ((v >> 2) & 0x3333333333333333ULL);
  v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
  return static_cast<std::int64_t>(v * 0x0101010101010101ULL >> 56);
#endif
}

std::int64_t common(const std::byte* x, const std::byte* y, std::int64_t bytes) {
  constexpr std::int64_t kWord = sizeof(std::uint64_t);
  std::int64_t sum = 0;
  std::int64_t j = 0;
  for (; j + kWord <= bytes; j += kWord) {
    sum += bits_of(load<std::uint64_t>(x + j) & load<std::uint64_t>(y + j));
  }
  for (; j < bytes; ++j) {
    sum += bits_of(static_cast<std::uint64_t>(x[j] & y[j]));
  }
  return sum;
}

}  // namespace

const BitKernels& bit_kernels() {
  static constexpr BitKernels kernels = {kLanes, common, screen_tile, screen_row};
  return kernels;
}

}  // namespace farpoint::cpu::FARPOINT_LEVEL
