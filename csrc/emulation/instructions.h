// The functions of cuda/instructions.h, which documents them, with the same meaning.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "emulation/threads.h"

namespace farpoint::cuda {

inline void load_matrices(std::uint32_t (&registers)[4], const std::int8_t* row,
                          const emulation::Site& site = emulation::Site::current()) {
  emulation::Row mine;
  if (reinterpret_cast<std::uintptr_t>(row) % sizeof mine != 0 || !emulation::is_shared(row, sizeof mine)) {
    emulation::fail("gives load_matrices a row that is not 16 aligned bytes of shared memory");
  }
  std::memcpy(mine.data(), row, sizeof mine);
  std::ranges::copy(emulation::transpose_rows(mine, "load_matrices", site), registers);
}

inline void multiply_int8(std::int32_t (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                          const emulation::Site& site = emulation::Site::current()) {
  const emulation::Row products =
      emulation::multiply_bytes({a[0], a[1], a[2], a[3]}, {b[0], b[1]}, "multiply_int8", site);
  for (std::size_t i = 0; i < 4; ++i) {
    // Sums beyond 32 bits wrap around, as on hardware.
    c[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(c[i]) + products[i]);
  }
}

inline void copy_async(void* to_shared, const void* from_global) {
  emulation::begin_copy(to_shared, from_global);
}
inline void commit_copies() {
  emulation::commit_copies();
}
template <int kPending>
void await_copies() {
  static_assert(kPending >= 0);
  emulation::await_copies(kPending);
}

using Word = unsigned long long;

inline void store_word(Word* address, Word word) {
  std::atomic_ref<Word>(*address).store(word, std::memory_order_relaxed);
  emulation::signal_progress();
}
// Gives way to other threads: it is called in loops that wait for them.
inline void load_words(const Word* address, Word (&words)[2],
                       const emulation::Site& site = emulation::Site::current()) {
  if (reinterpret_cast<std::uintptr_t>(address) % sizeof words != 0) {
    emulation::fail("calls load_words with an address that is not 16-byte aligned");
  }
  emulation::give_way("load_words", site);
  for (int i = 0; i < 2; ++i) {
    words[i] = std::atomic_ref<Word>(const_cast<Word&>(address[i])).load(std::memory_order_relaxed);
  }
}

}  // namespace farpoint::cuda
