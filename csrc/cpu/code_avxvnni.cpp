// code.inl at the level avxvnni (flags: CMakeLists.txt).
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "cpu/kernels.h"

#define FARPOINT_LEVEL avxvnni
#define FARPOINT_VECTOR_BYTES 32
#define FARPOINT_CODE_PICKS 4
#include "cpu/code.inl"
