// code.inl at the level avx512vnni (flags: CMakeLists.txt).
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "cpu/kernels.h"

#define FARPOINT_LEVEL avx512vnni
#define FARPOINT_VECTOR_BYTES 64
#define FARPOINT_CODE_PICKS 8
#include "cpu/code.inl"
