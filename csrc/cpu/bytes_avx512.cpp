// bytes.inl at the level avx512 (flags: CMakeLists.txt).
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "cpu/kernels.h"

#define FARPOINT_LEVEL avx512
#define FARPOINT_VECTOR_BYTES 64
#define FARPOINT_TILE_PICKS 12
#include "cpu/bytes.inl"
