// The instructions that CUDA C++ has no words for. The emulation's versions, with the same meaning, are in
// csrc/emulation/device.h.
//
// Fragments of the tensor-core product follow the PTX ISA, "Matrix Fragments for mma.m16n8k32" with .s8:
// with g = lane / 4 and t = lane % 4,
//
//   A (16 x 32, row-major)   a[0]: row g,     columns 4 t .. 4 t + 3      a[2]: row g,     columns 16 + 4 t
//   ..
//                            a[1]: row g + 8, columns 4 t .. 4 t + 3      a[3]: row g + 8, columns 16 + 4 t
//                            ..
//   B (32 x 8, column-major) b[0]: column g, rows 4 t .. 4 t + 3          b[1]: column g, rows 16 + 4 t ..
//   C (16 x 8)               c[0], c[1]: row g, columns 2 t, 2 t + 1      c[2], c[3]: row g + 8, the same
#pragma once

#include "cuda/platform.h"

#if !defined(FARPOINT_EMULATE_CUDA)

namespace farpoint::cuda {

// Four 8 x 16-byte matrices from shared memory; lane l gives the address of row l % 8 of matrix l / 8, which
// is 16-byte aligned. Register m of a lane then holds bytes 4 (lane % 4) .. + 3 of row lane / 4 of matrix m:
// the fragments above. All lanes of a warp take part.
__device__ inline void load_matrices(std::uint32_t (&registers)[4], const std::int8_t* row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(address)
               : "memory");
}

// c += A B for one warp, exactly, in 32 bits.
__device__ inline void multiply_int8(std::int32_t (&c)[4], const std::uint32_t (&a)[4],
                                     const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  // sm_75 has the quarter, mma.m8n8k16, whose fragments are the same registers: rows g with g + 8 apart, and
  // columns 0-15 with 16-31 apart.
  const auto quarter = [](std::int32_t& c0, std::int32_t& c1, std::uint32_t a0, std::uint32_t b0) {
    asm("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+r"(c0), "+r"(c1)
        : "r"(a0), "r"(b0));
  };
  quarter(c[0], c[1], a[0], b[0]);
  quarter(c[2], c[3], a[1], b[0]);
  quarter(c[0], c[1], a[2], b[1]);
  quarter(c[2], c[3], a[3], b[1]);
#endif
}

// Copies 16 bytes (both ends 16-byte aligned) from global to shared memory without waiting. A thread sees
// what it copied after await_copies; other threads after a barrier that follows that.
__device__ inline void copy_async(void* to_shared, const void* from_global) {
#if __CUDA_ARCH__ >= 800
  const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(to_shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from_global) : "memory");
#else
  *static_cast<uint4*>(to_shared) = *static_cast<const uint4*>(from_global);
#endif
}

// Ends a group of this thread's copies.
__device__ inline void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most kPending of this thread's latest groups are still under way.
template <int kPending>
__device__ inline void await_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#endif
}

// Words by which blocks of one launch tell each other something: stored and loaded whole, at the cache that
// all blocks share, in no order with any other access. A word has to say by itself whether it is the one
// waited for.
using Word = unsigned long long;

__device__ inline void store_word(Word* address, Word word) {
  asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(address), "l"(word) : "memory");
}

// Two neighbours, 16-byte aligned; each of them is whole, the pair need not be.
__device__ inline void load_words(const Word* address, Word (&words)[2]) {
  asm volatile("ld.relaxed.gpu.global.v2.u64 {%0, %1}, [%2];"
               : "=l"(words[0]), "=l"(words[1])
               : "l"(address)
               : "memory");
}

}  // namespace farpoint::cuda

#endif
