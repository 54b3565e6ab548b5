// Errors that say more than the standard ones; the bindings make Python's of them.
#pragma once

#include <array>
#include <cmath>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "core/types.h"

namespace farpoint {

// "1.5 GB", for people.
inline std::string byte_text(Index bytes) {
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

// An allocation failed: its size and its purpose, such as "codes of the rows".
class OutOfMemory : public std::bad_alloc {
 public:
  OutOfMemory(Index bytes, const std::string& purpose)
      : text_("farpoint needs " + byte_text(bytes) + " for " + purpose +
              ", which the system does not give; a memory_limit makes it do with less") {}
  const char* what() const noexcept override { return text_.what(); }

 private:
  std::runtime_error text_;  // a string whose copies cannot fail
};

// A temporary file could not be made or written: why, errno, and the folder that it was to be in.
class SpillFailed : public std::runtime_error {
 public:
  SpillFailed(const std::string& what, int code, const std::string& folder)
      : std::runtime_error(what), code_(code), folder_(folder) {}
  int code() const { return code_; }
  const char* folder() const { return folder_.what(); }

 private:
  int code_;
  std::runtime_error folder_;
};

// The limit on a call's memory is below the least that the call can do with. Thrown before any work.
class LimitTooSmall : public std::exception {
 public:
  explicit LimitTooSmall(Index least) : least_(least) {}
  Index least() const { return least_; }
  const char* what() const noexcept override { return "the limit on memory is too small"; }

 private:
  Index least_;
};

}  // namespace farpoint
