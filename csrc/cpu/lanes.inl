// Vectors of this level and how to load every element type into them.
//
// Included inside the level's namespace, anonymous part, by the .inl files of the stages. Written in the
// compilers' vector extension, so that one source serves every width: FARPOINT_VECTOR_BYTES is
// 16, 32 or 64. These files include nothing from the standard library but <cstdint> and <cstddef>: an
// inline function shared with baseline objects might be kept in its AVX-512 copy by the linker.

constexpr int kFloats = FARPOINT_VECTOR_BYTES / 4;
constexpr int kDoubles = FARPOINT_VECTOR_BYTES / 8;

typedef float FloatVector __attribute__((vector_size(FARPOINT_VECTOR_BYTES)));
typedef std::int32_t IntVector __attribute__((vector_size(FARPOINT_VECTOR_BYTES)));
typedef double DoubleVector __attribute__((vector_size(FARPOINT_VECTOR_BYTES)));
typedef float HalfFloatVector __attribute__((vector_size(FARPOINT_VECTOR_BYTES / 2)));

template <class Vector, class T>
inline Vector load(const T* from) {
  Vector v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <class Vector, class T>
inline void store(T* to, Vector v) {
  __builtin_memcpy(to, &v, sizeof v);
}

inline FloatVector absolute(FloatVector v) {
  return reinterpret_cast<FloatVector>(reinterpret_cast<IntVector>(v) & 0x7fffffff);
}

// Bit l: a[l] > b[l].
inline std::uint32_t greater_mask(FloatVector a, FloatVector b) {
#if FARPOINT_VECTOR_BYTES == 64 && defined(__AVX512F__)
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), _CMP_GT_OQ);
#elif FARPOINT_VECTOR_BYTES == 32 && defined(__AVX__)
  return static_cast<std::uint32_t>(_mm256_movemask_ps(
      _mm256_cmp_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), _CMP_GT_OQ)));
#elif FARPOINT_VECTOR_BYTES == 16 && defined(__SSE__)
  return static_cast<std::uint32_t>(
      _mm_movemask_ps(_mm_cmpgt_ps(reinterpret_cast<__m128>(a), reinterpret_cast<__m128>(b))));
#else
  std::uint32_t mask = 0;
  for (int l = 0; l < kFloats; ++l) {
    mask |= static_cast<std::uint32_t>(a[l] > b[l]) << l;
  }
  return mask;
#endif
}

// Element types as they lie in memory.
struct Float16 {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};

inline float from_bits(std::uint32_t bits) {
  float value = 0;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// Exact, subnormals and infinities included: the exponent is moved by a multiplication, which
// normalises what float16 could only hold as a subnormal.
inline float widen(Float16 x) {
  const std::uint32_t magnitude = static_cast<std::uint32_t>(x.bits & 0x7fffU) << 13;
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000U) << 16;
  float value = from_bits(magnitude) * 0x1p+112F;
  std::uint32_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof bits);
  if ((x.bits & 0x7c00U) == 0x7c00U) {
    bits |= 0x7f800000U;
  }
  return from_bits(bits | sign);
}
inline float widen(BFloat16 x) {
  return from_bits(static_cast<std::uint32_t>(x.bits) << 16);
}
inline float widen(float x) {
  return x;
}
inline double widen(double x) {
  return x;
}
inline float widen(std::int8_t x) {
  return x;
}
inline float widen(std::uint8_t x) {
  return x;
}

// kDoubles consecutive elements as float64.
template <class T>
inline DoubleVector load_doubles(const T* from) {
  DoubleVector v;
  for (int l = 0; l < kDoubles; ++l) {
    v[l] = static_cast<double>(widen(from[l]));
  }
  return v;
}
template <>
inline DoubleVector load_doubles<double>(const double* from) {
  return load<DoubleVector>(from);
}
template <>
inline DoubleVector load_doubles<float>(const float* from) {
  return __builtin_convertvector(load<HalfFloatVector>(from), DoubleVector);
}
#if defined(__F16C__) && FARPOINT_VECTOR_BYTES == 64
template <>
inline DoubleVector load_doubles<Float16>(const Float16* from) {
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return __builtin_convertvector(reinterpret_cast<HalfFloatVector>(_mm256_cvtph_ps(halves)), DoubleVector);
}
#elif defined(__F16C__) && FARPOINT_VECTOR_BYTES == 32
template <>
inline DoubleVector load_doubles<Float16>(const Float16* from) {
  const __m128i halves = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  return __builtin_convertvector(reinterpret_cast<HalfFloatVector>(_mm_cvtph_ps(halves)), DoubleVector);
}
#endif
#if FARPOINT_VECTOR_BYTES >= 32
// bfloat16 is the upper half of a float32; small integers widen through int32.
typedef std::uint16_t HalfWords __attribute__((vector_size(FARPOINT_VECTOR_BYTES / 4)));
typedef std::uint32_t HalfUints __attribute__((vector_size(FARPOINT_VECTOR_BYTES / 2)));
typedef std::int32_t HalfInts __attribute__((vector_size(FARPOINT_VECTOR_BYTES / 2)));
template <>
inline DoubleVector load_doubles<BFloat16>(const BFloat16* from) {
  const HalfUints bits = __builtin_convertvector(load<HalfWords>(from), HalfUints) << 16;
  return __builtin_convertvector(reinterpret_cast<HalfFloatVector>(bits), DoubleVector);
}
#endif
#if FARPOINT_VECTOR_BYTES == 64
typedef std::int8_t SignedBytes __attribute__((vector_size(8)));
typedef std::uint8_t UnsignedBytes __attribute__((vector_size(8)));
template <>
inline DoubleVector load_doubles<std::int8_t>(const std::int8_t* from) {
  return __builtin_convertvector(__builtin_convertvector(load<SignedBytes>(from), HalfInts), DoubleVector);
}
template <>
inline DoubleVector load_doubles<std::uint8_t>(const std::uint8_t* from) {
  return __builtin_convertvector(__builtin_convertvector(load<UnsignedBytes>(from), HalfInts), DoubleVector);
}
#endif
