// Reading elements of any type, exactly, as float64. Device code.
#pragma once

#include "core/types.h"
#include "cuda/platform.h"

namespace farpoint::cuda {

// Element types as they lie in memory.
struct Float16 {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};

__device__ inline double widen(Float16 x) {
  // Exact, subnormals included: the exponent is moved by a multiplication.
  const std::uint32_t magnitude = static_cast<std::uint32_t>(x.bits & 0x7fffU) << 13;
  const std::uint32_t special = (x.bits & 0x7c00U) == 0x7c00U ? 0x7f800000U : 0U;  // infinities and NaNs
  const float moved = __uint_as_float(magnitude) * 0x1p112F;
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000U) << 16;
  return static_cast<double>(__uint_as_float(__float_as_uint(moved) | special | sign));
}
__device__ inline double widen(BFloat16 x) {
  return static_cast<double>(__uint_as_float(static_cast<std::uint32_t>(x.bits) << 16));
}
__device__ inline double widen(float x) {
  return static_cast<double>(x);
}
__device__ inline double widen(double x) {
  return x;
}
__device__ inline double widen(std::int8_t x) {
  return static_cast<double>(x);
}
__device__ inline double widen(std::uint8_t x) {
  return static_cast<double>(x);
}

// Calls visit(T{}) with the type that `type` stands for.
template <class Visit>
__device__ inline auto with_element_type(ElementType type, const Visit& visit) {
  switch (type) {
    case ElementType::float16:
      return visit(Float16{});
    case ElementType::bfloat16:
      return visit(BFloat16{});
    case ElementType::float32:
      return visit(float{});
    case ElementType::float64:
      return visit(double{});
    case ElementType::int8:
      return visit(std::int8_t{});
    default:
      return visit(std::uint8_t{});
  }
}

}  // namespace farpoint::cuda
