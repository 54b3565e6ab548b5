#include "core/errors.h"

#include <array>
#include <cmath>

namespace farpoint {

std::string byte_text(Index bytes) {
  if (bytes < 1000) {
    return std::to_string(bytes) + " bytes";
  }
  constexpr std::array kUnits = {" kB", " MB", " GB", " TB", " PB", " EB"};
  double size = static_cast<double>(bytes) / 1000.0;
  std::size_t unit = 0;
  while (size >= 999.95 && unit + 1 < kUnits.size()) {
    size /= 1000.0;
    ++unit;
  }
  const auto tenths = static_cast<Index>(std::round(size * 10.0));
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + kUnits[unit];
}

OutOfMemory::OutOfMemory(Index bytes, const std::string& purpose)
    : text_("farpoint needs " + byte_text(bytes) + " for " + purpose +
            ", which the system does not give; a memory_limit makes it do with less") {}

}  // namespace farpoint
