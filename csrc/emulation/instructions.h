// The functions of cuda/instructions.h, which documents them, with the same meaning.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "emulation/threads.h"
#include "emulation/warp.h"

namespace farpoint::cuda {

inline void load_matrices(std::uint32_t (&registers)[4], const std::int8_t* row,
                          const emulation::Site& site = emulation::Site::current()) {
  struct Lane {
    std::uint32_t* registers;
    const std::int8_t* row;
  };
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0 || !emulation::is_shared(row, 16)) {
    emulation::fail("gives load_matrices a row that is not 16 aligned bytes of shared memory");
  }
  Lane mine{registers, row};
  emulation::meet(~0U, mine, "load_matrices", site, [](auto lane) {
    for (unsigned l = 0; l < emulation::kWarpSize; ++l) {
      for (unsigned m = 0; m < 4; ++m) {
        std::memcpy(&lane(l).registers[m], lane(8 * m + l / 4).row + std::size_t{4} * (l % 4), 4);
      }
    }
  });
}

inline void multiply_int8(std::int32_t (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                          const emulation::Site& site = emulation::Site::current()) {
  struct Lane {
    std::int32_t* c;
    const std::uint32_t* a;
    const std::uint32_t* b;
  };
  Lane mine{c, a, b};
  emulation::meet(~0U, mine, "multiply_int8", site, [](auto lane) {
    std::array<std::array<std::int8_t, 32>, 16> rows{};
    std::array<std::array<std::int8_t, 32>, 8> columns{};
    for (unsigned l = 0; l < emulation::kWarpSize; ++l) {
      const unsigned g = l / 4;
      const std::size_t t = std::size_t{4} * (l % 4);
      std::memcpy(&rows[g][t], &lane(l).a[0], 4);
      std::memcpy(&rows[g + 8][t], &lane(l).a[1], 4);
      std::memcpy(&rows[g][16 + t], &lane(l).a[2], 4);
      std::memcpy(&rows[g + 8][16 + t], &lane(l).a[3], 4);
      std::memcpy(&columns[g][t], &lane(l).b[0], 4);
      std::memcpy(&columns[g][16 + t], &lane(l).b[1], 4);
    }
    const auto dot = [&](unsigned row, unsigned column) {
      std::int32_t sum = 0;
      for (std::size_t k = 0; k < 32; ++k) {
        sum += rows[row][k] * columns[column][k];
      }
      return static_cast<std::uint32_t>(sum);
    };
    for (unsigned l = 0; l < emulation::kWarpSize; ++l) {
      for (unsigned i = 0; i < 4; ++i) {
        // Sums beyond 32 bits wrap around, as on hardware.
        lane(l).c[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(lane(l).c[i]) +
                                                 dot(l / 4 + i / 2 * 8, 2 * (l % 4) + i % 2));
      }
    }
  });
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

inline unsigned load_acquire(const unsigned* address,
                             const emulation::Site& site = emulation::Site::current()) {
  emulation::give_way("load_acquire", site);
  return std::atomic_ref<unsigned>(const_cast<unsigned&>(*address)).load(std::memory_order_acquire);
}
inline void add_release(unsigned* address) {
  std::atomic_ref<unsigned>(*address).fetch_add(1, std::memory_order_release);
  emulation::signal_progress();
}

using Word = unsigned long long;

inline void store_word(Word* address, Word word) {
  std::atomic_ref<Word>(*address).store(word, std::memory_order_relaxed);
  emulation::signal_progress();
}
// Gives way to other threads: it is called in loops that wait for them.
inline void load_words(const Word* address, Word (&words)[2],
                       const emulation::Site& site = emulation::Site::current()) {
  emulation::give_way("load_words", site);
  for (int i = 0; i < 2; ++i) {
    words[i] = std::atomic_ref<Word>(const_cast<Word&>(address[i])).load(std::memory_order_relaxed);
  }
}

}  // namespace farpoint::cuda
