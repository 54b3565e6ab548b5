# Toolchain file: 64-bit Arm Linux by Debian's cross compiler, run by QEMU (make aarch64-test).
#
#   cmake -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake -DFARPOINT_PYTHON=OFF -DFARPOINT_TESTS=ON ...
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# The compiler's package brings the C and C++ libraries.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)
# Programs are this machine's. So are packages of headers alone, as doctest is one.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
