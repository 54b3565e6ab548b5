// Reading elements of any type, exactly, as float64: for what looks at few rows, or once at all.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "core/types.h"

namespace farpoint::c {

template <class T>
T element_at(const std::byte* row, Index column) {
  T element;
  std::memcpy(&element, row + column * static_cast<Index>(sizeof(T)), sizeof(T));
  return element;
}

inline double widen_float16(std::uint16_t bits) {
  // Exact, subnormals included: the exponent is moved by a multiplication.
  const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7fffU) << 13U;
  const std::uint32_t special = (bits & 0x7c00U) == 0x7c00U ? 0x7f800000U : 0U;  // infinities and NaNs
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16U;
  const float moved = std::bit_cast<float>(magnitude) * 0x1p112F;
  return static_cast<double>(std::bit_cast<float>(std::bit_cast<std::uint32_t>(moved) | special | sign));
}

inline double widen_bfloat16(std::uint16_t bits) {
  return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U));
}

inline double element(const std::byte* row, Index column, ElementType type) {
  switch (type) {
    case ElementType::float16:
      return widen_float16(element_at<std::uint16_t>(row, column));
    case ElementType::bfloat16:
      return widen_bfloat16(element_at<std::uint16_t>(row, column));
    case ElementType::float32:
      return static_cast<double>(element_at<float>(row, column));
    case ElementType::float64:
      return element_at<double>(row, column);
    case ElementType::int8:
      return static_cast<double>(element_at<std::int8_t>(row, column));
    case ElementType::uint8:
      break;
  }
  return static_cast<double>(element_at<std::uint8_t>(row, column));
}

}  // namespace farpoint::c
