// bits.inl at the level avx512 (flags: CMakeLists.txt).
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "cpu/bit_kernels.h"

#define FARPOINT_LEVEL avx512
#define FARPOINT_VECTOR_BYTES 64
#include "cpu/bits.inl"
