// bits.inl at the level avx2 (flags: CMakeLists.txt).
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "cpu/bit_kernels.h"

#define FARPOINT_LEVEL avx2
#define FARPOINT_VECTOR_BYTES 32
#include "cpu/bits.inl"
