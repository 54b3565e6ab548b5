// Structures of options that say how large they are, so that both older and newer programs can pass them.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>

#include "c/boundary.h"

namespace farpoint::c {

// What the caller passed, with zeros for what an older program does not know. What a newer program passes and
// this library does not know must be zero: the default.
template <class Options>
Options known_options(const Options* given, const char* name) {
  Options options{};
  if (given == nullptr) {
    return options;
  }
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (size < sizeof size || size > std::size_t{1} << 16) {
    refuse(std::string(name) + ".struct_size is " + std::to_string(size) + ": it must be sizeof(farpoint_" +
           name + "), " + std::to_string(sizeof(Options)) + " in this version; farpoint_default_" + name +
           "() sets it");
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  for (std::size_t i = sizeof(Options); i < size; ++i) {
    if (bytes[i] != 0) {
      refuse(std::string(name) + " has an option that this version of the library, " + FARPOINT_VERSION +
             ", does not know");
    }
  }
  std::memcpy(&options, given, std::min(size, sizeof(Options)));
  return options;
}

}  // namespace farpoint::c
