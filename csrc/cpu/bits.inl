// Screening of packed bits: counts of common bits, exact, against a threshold proven in core/bit_bound.h.
//
// screen_row, one pick and a group of rows:
//   survive bit l  <=>  sum_w popcount(pick[w] & group[w, l])  >  factor[l] * count + bias[l]
// Every byte counts its own bits, at most 8 a word, so 31 words fit a byte before bytes are added up to their
// lanes. Counting bits of a vector: a table of 16 nibbles by a byte shuffle where there is one, NEON's own
// instruction, else the halving sums of Hacker's Delight. Counts of whole rows come first: where min(a, b)
// decides for every lane no word is read.
//
// screen_block, one row and a block of picks by columns: the sum, over the bits that are set in the row, of
// columns of bits. Sums are bit-sliced: plane i holds bit i of every pick's sum. Eight columns go through
// seven full adders of five operations each (Harley and Seal's tree) before a carry reaches plane 3, so that
// a set bit costs some 5.5 operations for as many picks as a vector has bits: 256 pairs of rows with 50 bits
// set take 1.1 operations a pair with AVX2, where counting the bits of 2,048-bit rows takes 70. Dense rows
// gain less: with half of the bits set, 22. The comparison runs over the planes from the lowest, one constant
// for 64 picks.
//
// Included by bits_<level>.cpp, which defines FARPOINT_LEVEL and FARPOINT_VECTOR_BYTES.

namespace farpoint::cpu::FARPOINT_LEVEL {
namespace {

constexpr std::int64_t kWordsOfVector = FARPOINT_VECTOR_BYTES / 8;
constexpr int kGroupVectors = 2;
constexpr std::int64_t kLanes = kGroupVectors * kWordsOfVector;
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

struct CommonBits {
  Words of[kGroupVectors];
};

inline CommonBits common_bits(const std::uint64_t* group, const std::uint64_t* pick, std::int64_t words) {
  CommonBits sums = {};
  for (std::int64_t begin = 0; begin < words; begin += kWordsOfBytes) {
    const std::int64_t end = words - begin < kWordsOfBytes ? words : begin + kWordsOfBytes;
    Bytes bytes[kGroupVectors] = {};
    for (std::int64_t w = begin; w < end; ++w) {
      for (int v = 0; v < kGroupVectors; ++v) {
        bytes[v] += bits_of_bytes(load<Words>(group + w * kLanes + v * kWordsOfVector) & pick[w]);
      }
    }
    for (int v = 0; v < kGroupVectors; ++v) {
      sums.of[v] += sums_of_bytes(bytes[v]);
    }
  }
  return sums;
}

std::uint32_t screen_row(const std::uint64_t* group, const double* numbers, const std::uint64_t* pick,
                         double count, std::int64_t words) {
  const Thresholds t = thresholds(numbers, count);
  if (!counts_leave_any(numbers, count, t)) {
    return 0;
  }
  const CommonBits common = common_bits(group, pick, words);
  std::uint32_t mask = 0;
  for (int v = 0; v < kGroupVectors; ++v) {
    mask |= greater_mask(to_doubles(common.of[v]), t.of[v]) << (v * kWordsOfVector);
  }
  return mask;
}

// sum becomes bit 0 of sum + a + b; returns bit 1.
inline Words add(Words& sum, Words a, Words b) {
  const Words half = sum ^ a;
  const Words carry = (sum & a) | (half & b);
  sum = half ^ b;
  return carry;
}

// Adds a column to bit `low` of the sums and carries on.
inline void add_to_planes(Words* planes, int low, int end, Words column) {
  for (int i = low; i < end; ++i) {
    const Words carry = planes[i] & column;
    planes[i] ^= column;
    column = carry;
  }
}

// One vector of a block's lines.
inline void sum_columns(const std::uint32_t* set, std::int64_t n, const std::uint64_t* block, Words* planes,
                        int end) {
  const auto column = [&](std::int64_t i) {
    return load<Words>(block + static_cast<std::int64_t>(set[i]) * kBlockWords);
  };
  Words ones = {};
  Words twos = {};
  Words fours = {};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const Words twos0 = add(ones, column(i), column(i + 1));
    const Words twos1 = add(ones, column(i + 2), column(i + 3));
    const Words fours0 = add(twos, twos0, twos1);
    const Words twos2 = add(ones, column(i + 4), column(i + 5));
    const Words twos3 = add(ones, column(i + 6), column(i + 7));
    const Words fours1 = add(twos, twos2, twos3);
    add_to_planes(planes, 3, end, add(fours, fours0, fours1));
  }
  planes[0] = ones;
  planes[1] = twos;
  planes[2] = fours;
  for (; i < n; ++i) {
    add_to_planes(planes, 0, end, column(i));
  }
}

int screen_block(const std::uint32_t* set, std::int64_t n, const std::uint64_t* block,
                 const std::uint64_t* least, std::uint64_t* planes, std::uint64_t* survivors) {
  int end = 3;
  while (n >> end != 0) {
    ++end;
  }
  std::uint64_t any = 0;
  for (std::int64_t w = 0; w < kBlockWords; w += kWordsOfVector) {
    bool possible = false;
    Words bounds = {};
    Words never = {};
    for (int l = 0; l < kWordsOfVector; ++l) {
      const bool wanted = least[w + l] <= static_cast<std::uint64_t>(n);
      possible |= wanted;
      bounds[l] = least[w + l];
      never[l] = wanted ? 0 : ~std::uint64_t{0};
      survivors[w + l] = 0;
    }
    if (!possible) {
      continue;
    }
    Words sums[kBitPlanes];
    for (int i = 0; i < end; ++i) {
      sums[i] = Words{};
    }
    sum_columns(set, n, block + w, sums, end);
    // Whether the bits so far are at least those of the bound: the highest that differ decide.
    Words at_least = ~never;
    for (int i = 0; i < end; ++i) {
      const Words bound = Words{} - (bounds >> i & 1);
      at_least = (sums[i] & ~bound) | (at_least & ~(sums[i] ^ bound));
    }
    at_least &= ~never;
    for (int l = 0; l < kWordsOfVector; ++l) {
      survivors[w + l] = at_least[l];
      any |= at_least[l];
    }
    for (int i = 0; i < end; ++i) {
      __builtin_memcpy(planes + std::int64_t{i} * kBlockWords + w, &sums[i], sizeof sums[i]);
    }
  }
  return any != 0 ? end : 0;
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

// Four places of a word are written whether it has as many bits or not: whether it has more is foreseen
// better than how many it has.
std::int64_t list_bits(const std::byte* row, std::int64_t bytes, std::uint32_t* set) {
  constexpr std::int64_t kWord = sizeof(std::uint64_t);
  constexpr std::uint64_t kLast = std::uint64_t{1} << 63;
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < bytes; j += kWord) {
    std::uint64_t word = 0;
    if (j + kWord <= bytes) [[likely]] {
      word = load<std::uint64_t>(row + j);
    } else {
      __builtin_memcpy(&word, row + j, static_cast<std::size_t>(bytes - j));
    }
    const std::int64_t bits = bits_of(word);
    std::uint32_t* place = set + count;
    do {
      for (int i = 0; i < kListSlack; ++i) {
        *place++ = static_cast<std::uint32_t>(8 * j + __builtin_ctzll(word | kLast));
        word &= word - 1;
      }
    } while (word != 0);
    count += bits;
  }
  return count;
}

}  // namespace

const BitKernels& bit_kernels() {
  static constexpr BitKernels kernels = {static_cast<int>(kLanes), common, list_bits, screen_row,
                                         screen_block};
  return kernels;
}

}  // namespace farpoint::cpu::FARPOINT_LEVEL
