// code.inl at the level neondot (flags: CMakeLists.txt).
#include <cstddef>
#include <cstdint>

#include <arm_neon.h>

#include "cpu/kernels.h"

#define FARPOINT_LEVEL neondot
#define FARPOINT_VECTOR_BYTES 16
#define FARPOINT_CODE_PICKS 8
#include "cpu/code.inl"
