// What Python says of a limit on memory, as the CPU engine takes it.
#pragma once

#include <optional>
#include <string>

#include "cpu/work_memory.h"

namespace farpoint::bindings {

inline cpu::MemoryOptions memory_options(const std::optional<Index>& limit, const std::string& spill_folder) {
  return {limit.value_or(cpu::MemoryOptions::kUnlimited), spill_folder};
}

}  // namespace farpoint::bindings
