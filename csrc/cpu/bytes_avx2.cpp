// bytes.inl at the level avx2 (flags: CMakeLists.txt).
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "cpu/kernels.h"

#define FARPOINT_LEVEL avx2
#define FARPOINT_VECTOR_BYTES 32
#define FARPOINT_TILE_PICKS 6
#include "cpu/bytes.inl"
