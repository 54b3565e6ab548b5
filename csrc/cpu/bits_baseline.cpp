// bits.inl at the level baseline (flags: CMakeLists.txt).
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#include "cpu/bit_kernels.h"

#define FARPOINT_LEVEL baseline
#define FARPOINT_VECTOR_BYTES 16
#include "cpu/bits.inl"
