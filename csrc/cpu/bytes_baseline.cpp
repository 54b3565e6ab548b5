// bytes.inl at the level baseline (flags: CMakeLists.txt).
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "cpu/kernels.h"

#define FARPOINT_LEVEL baseline
#define FARPOINT_VECTOR_BYTES 16
#define FARPOINT_TILE_PICKS 6
#include "cpu/bytes.inl"
