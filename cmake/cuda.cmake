# The library farpoint_cuda, as FARPOINT_CUDA asks for it; no target where it is not built. Also sets
# farpoint_cuda_compiler and farpoint_cuda_architectures, which the extension reports.

# Host code is compiled by the C++ compiler, kernels by nvcc.
set(cuda_sources
  csrc/cuda/closest_pair.cpp
  csrc/cuda/device.cpp
  csrc/cuda/nearest.cpp
  csrc/cuda/pairwise.cpp
  csrc/cuda/pick_list.cpp
  csrc/cuda/screen_plan.cpp
  csrc/cuda/select.cpp
  csrc/cuda/select_state.cpp)
set(cuda_kernels
  csrc/cuda/catch_up.cu
  csrc/cuda/codes.cu
  csrc/cuda/passes.cu
  csrc/cuda/pick.cu
  csrc/cuda/points.cu
  csrc/cuda/scan.cu)

# The same sources as C++, over an emulation of the device.
if(FARPOINT_CUDA STREQUAL "EMULATE")
  add_library(farpoint_cuda STATIC ${cuda_sources} ${cuda_kernels}
    csrc/emulation/device_properties.cpp
    csrc/emulation/errors.cpp
    csrc/emulation/fiber.cpp
    csrc/emulation/launch.cpp
    csrc/emulation/memory.cpp
    csrc/emulation/primitives.cpp
    csrc/emulation/state.cpp
    csrc/emulation/streams.cpp
    csrc/emulation/threads.cpp)
  set_source_files_properties(${cuda_kernels} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-x;c++")
  target_compile_definitions(farpoint_cuda PUBLIC FARPOINT_EMULATE_CUDA)
  target_link_libraries(farpoint_cuda PUBLIC farpoint_core Threads::Threads)
  # Emulated, the contract's operations are rounded by themselves because nothing may fuse; `#pragma unroll` is
  # nvcc's.
  target_compile_options(farpoint_cuda PUBLIC -Wno-unknown-pragmas PRIVATE ${warnings})
  # ThreadSanitizer finds races between device threads; what switches between them tells it who waits for whom.
  if(FARPOINT_SANITIZE MATCHES "thread")
    set_source_files_properties(csrc/emulation/fiber.cpp csrc/emulation/threads.cpp PROPERTIES
      COMPILE_OPTIONS "-fno-sanitize=thread;-DFARPOINT_RACES")
  endif()
  set(farpoint_cuda_compiler "emulated, ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
  set(farpoint_cuda_architectures "none")
  return()
endif()

if(FARPOINT_CUDA STREQUAL "OFF")
  return()
endif()

include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(FARPOINT_CUDA STREQUAL "ON")
    message(FATAL_ERROR "FARPOINT_CUDA=ON, but no CUDA compiler works here; set CUDACXX to nvcc 12 or later")
  endif()
  message(STATUS "No CUDA compiler: building without the CUDA engine")
  return()
endif()

# Machine code for what is common, and PTX for what comes.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 90-virtual)
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
enable_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER_ID STREQUAL "NVIDIA" OR CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
  set(found "${CMAKE_CUDA_COMPILER_ID} ${CMAKE_CUDA_COMPILER_VERSION}")
  if(FARPOINT_CUDA STREQUAL "ON")
    message(FATAL_ERROR "FARPOINT_CUDA=ON needs nvcc 12 or later; found ${found}")
  endif()
  message(STATUS "nvcc 12 or later is needed, ${found} is here: building without the CUDA engine")
  return()
endif()
set(CMAKE_CUDA_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
if(CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER "${CCACHE}")
endif()

find_package(CUDAToolkit REQUIRED)
add_library(farpoint_cuda STATIC ${cuda_sources} ${cuda_kernels} csrc/cuda/primitives.cu)
target_link_libraries(farpoint_cuda PUBLIC farpoint_core Threads::Threads CUDA::cudart_static)
# --fmad=false: the numerical contract's operations are rounded by themselves on the device too; what may fuse
# says fmaf.
target_compile_options(farpoint_cuda PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--fmad=false;-lineinfo;--expt-relaxed-constexpr;-Xcompiler=-ffp-contract=off>"
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra>"
  "$<$<COMPILE_LANGUAGE:CXX>:${warnings}>")
if(FARPOINT_WERROR)
  target_compile_options(farpoint_cuda PRIVATE
    "$<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings;-Xcompiler=-Werror>")
endif()
set_target_properties(farpoint_cuda PROPERTIES CUDA_SEPARABLE_COMPILATION OFF)
set(farpoint_cuda_compiler "nvcc ${CMAKE_CUDA_COMPILER_VERSION}")
list(JOIN CMAKE_CUDA_ARCHITECTURES " " farpoint_cuda_architectures)
