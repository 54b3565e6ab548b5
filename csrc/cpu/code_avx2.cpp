// code.inl at the level avx2 (flags: CMakeLists.txt).
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "cpu/kernels.h"

#define FARPOINT_LEVEL avx2
#define FARPOINT_VECTOR_BYTES 32
#define FARPOINT_CODE_PICKS 4
#include "cpu/code.inl"
