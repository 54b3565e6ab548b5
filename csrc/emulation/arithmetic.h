// CUDA's arithmetic, each operation rounded by itself. Plain expressions are too only where the compiler may
// not contract them: -ffp-contract=off here, -fmad=false there.
#pragma once

// NOLINTNEXTLINE(modernize-deprecated-headers): device code uses the global names
#include <math.h>

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace farpoint::emulation {

template <class T>
concept HasMinimum = std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, long> ||
                     std::same_as<T, unsigned long> || std::same_as<T, long long> ||
                     std::same_as<T, unsigned long long> || std::same_as<T, float> || std::same_as<T, double>;

// CUDA's min and max also take a signed and an unsigned integer of one width, and float with double.
template <class A, class B>
concept HaveMinimum =
    HasMinimum<A> && HasMinimum<B> && std::is_integral_v<A> == std::is_integral_v<B> &&
    (std::same_as<A, B> || std::is_floating_point_v<A> ||
     (std::same_as<std::make_unsigned_t<std::conditional_t<std::is_integral_v<A>, A, int>>,
                   std::make_unsigned_t<std::conditional_t<std::is_integral_v<B>, B, int>>>));

// What lies outside the integers becomes the nearest; NaN becomes `nan`.
template <class Integer, class T>
Integer saturate(T x, Integer nan) {
  if (std::isnan(x)) {
    return nan;
  }
  constexpr T kEnd = static_cast<T>(std::uint64_t{1} << (std::numeric_limits<Integer>::digits - 1)) * 2;
  if (x >= kEnd) {
    return std::numeric_limits<Integer>::max();
  }
  if (x < (std::is_signed_v<Integer> ? -kEnd : T{0})) {
    return std::numeric_limits<Integer>::min();
  }
  return static_cast<Integer>(x);
}

inline float next_down(float x) {
  return std::nextafter(x, -std::numeric_limits<float>::infinity());
}
inline float next_up(float x) {
  return std::nextafter(x, std::numeric_limits<float>::infinity());
}

}  // namespace farpoint::emulation

template <class A, class B>
  requires farpoint::emulation::HaveMinimum<A, B>
std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) {
    return std::fmin(static_cast<T>(a), static_cast<T>(b));
  } else {
    return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
  }
}
template <class A, class B>
  requires farpoint::emulation::HaveMinimum<A, B>
std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) {
    return std::fmax(static_cast<T>(a), static_cast<T>(b));
  } else {
    return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
  }
}

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): CUDA's names
inline double __dadd_rn(double a, double b) {
  return a + b;
}
inline double __dsub_rn(double a, double b) {
  return a - b;
}
inline double __dmul_rn(double a, double b) {
  return a * b;
}
inline double __ddiv_rn(double a, double b) {
  return a / b;
}
inline double __dsqrt_rn(double x) {
  return std::sqrt(x);
}
inline double __fma_rn(double a, double b, double c) {
  return std::fma(a, b, c);
}
inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __fsub_rn(float a, float b) {
  return a - b;
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fdiv_rn(float a, float b) {
  return a / b;
}
inline float __fsqrt_rn(float x) {
  return std::sqrt(x);
}
inline float __fmaf_rn(float a, float b, float c) {
  return std::fma(a, b, c);
}

inline float __double2float_rn(double x) {
  return static_cast<float>(x);
}
inline float __double2float_rd(double x) {
  const auto nearest = static_cast<float>(x);
  return static_cast<double>(nearest) > x ? farpoint::emulation::next_down(nearest) : nearest;
}
inline float __double2float_ru(double x) {
  const auto nearest = static_cast<float>(x);
  return static_cast<double>(nearest) < x ? farpoint::emulation::next_up(nearest) : nearest;
}
// NaN becomes 0 from float, and the lowest integer from double, as the PTX ISA has it.
inline int __float2int_rn(float x) {
  return farpoint::emulation::saturate<int>(std::nearbyint(x), 0);
}
inline int __float2int_rd(float x) {
  return farpoint::emulation::saturate<int>(std::floor(x), 0);
}
inline int __float2int_ru(float x) {
  return farpoint::emulation::saturate<int>(std::ceil(x), 0);
}
inline int __float2int_rz(float x) {
  return farpoint::emulation::saturate<int>(std::trunc(x), 0);
}
inline int __double2int_rn(double x) {
  return farpoint::emulation::saturate<int>(std::nearbyint(x), std::numeric_limits<int>::min());
}
inline int __double2int_rd(double x) {
  return farpoint::emulation::saturate<int>(std::floor(x), std::numeric_limits<int>::min());
}
inline int __double2int_ru(double x) {
  return farpoint::emulation::saturate<int>(std::ceil(x), std::numeric_limits<int>::min());
}
inline int __double2int_rz(double x) {
  return farpoint::emulation::saturate<int>(std::trunc(x), std::numeric_limits<int>::min());
}
inline float __int2float_rn(int x) {
  return static_cast<float>(x);
}
inline double __int2double_rn(int x) {
  return static_cast<double>(x);
}

inline float __int_as_float(int x) {
  return std::bit_cast<float>(x);
}
inline int __float_as_int(float x) {
  return std::bit_cast<int>(x);
}
inline float __uint_as_float(unsigned x) {
  return std::bit_cast<float>(x);
}
inline unsigned __float_as_uint(float x) {
  return std::bit_cast<unsigned>(x);
}
inline long long __double_as_longlong(double x) {
  return std::bit_cast<long long>(x);
}
inline double __longlong_as_double(long long x) {
  return std::bit_cast<double>(x);
}

// c plus the dot product of four signed, or four unsigned, bytes.
inline int __dp4a(int a, int b, int c) {
  auto sum = static_cast<unsigned>(c);
  for (int shift = 0; shift < 32; shift += 8) {
    sum += static_cast<unsigned>(static_cast<std::int8_t>(a >> shift) * static_cast<std::int8_t>(b >> shift));
  }
  return static_cast<int>(sum);
}
inline unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
  for (int shift = 0; shift < 32; shift += 8) {
    c += (a >> shift & 255U) * (b >> shift & 255U);
  }
  return c;
}

inline int __popc(unsigned x) {
  return std::popcount(x);
}
inline int __popcll(unsigned long long x) {
  return std::popcount(x);
}
inline int __clz(int x) {
  return std::countl_zero(static_cast<unsigned>(x));
}
inline int __clzll(long long x) {
  return std::countl_zero(static_cast<unsigned long long>(x));
}
// The lowest set bit counted from 1; 0 without one.
inline int __ffs(int x) {
  return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1;
}
inline int __ffsll(long long x) {
  return x == 0 ? 0 : std::countr_zero(static_cast<unsigned long long>(x)) + 1;
}
inline unsigned __brev(unsigned x) {
  unsigned result = 0;
  for (int i = 0; i < 32; ++i) {
    result = result << 1 | (x >> i & 1U);
  }
  return result;
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<std::uint64_t>(a) * b >> 32);
}
// Byte i of the result is byte (selector >> 4 i) & 7 of a, then b; with bit 3, its sign eight times.
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const std::uint64_t bytes = static_cast<std::uint64_t>(b) << 32 | a;
  unsigned result = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned choice = selector >> (4 * i) & 15U;
    const auto byte = static_cast<unsigned>(bytes >> (8 * (choice & 7U)) & 255U);
    const unsigned sign = (byte & 128U) != 0 ? 255U : 0U;
    result |= ((choice & 8U) != 0 ? sign : byte) << (8 * i);
  }
  return result;
}

template <class T>
T __ldg(const T* address) {
  return *address;
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
