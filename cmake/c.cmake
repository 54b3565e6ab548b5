# The library farpoint: the CPU engine behind the C interface (csrc/c/farpoint.h); and what programs find it by
# once it is installed: a CMake package and a pkg-config file.
#
# Installed below a prefix as usual; with the Python extension as part of its package, below farpoint/. There are no
# symbolic links in wheels: there the library has its SONAME as its name, and libfarpoint.so is a text that tells the
# linker so, as glibc's libc.so is.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The header says it; the SONAME must not differ.
file(STRINGS csrc/c/farpoint.h abi REGEX "^#define FARPOINT_ABI_VERSION ")
string(REGEX MATCH "[0-9]+$" abi "${abi}")

add_library(farpoint SHARED
  csrc/c/boundary.cpp
  csrc/c/center.cpp
  csrc/c/constraints.cpp
  csrc/c/distances.cpp
  csrc/c/information.cpp
  csrc/c/matrices.cpp
  csrc/c/metrics.cpp
  csrc/c/run.cpp
  csrc/c/select.cpp)
add_library(farpoint::farpoint ALIAS farpoint)
target_link_libraries(farpoint PRIVATE farpoint_cpu)
target_compile_options(farpoint PRIVATE ${warnings})
target_compile_definitions(farpoint PRIVATE FARPOINT_VERSION="${farpoint_version}")

# Those who use the build folder see this header and no other.
configure_file(csrc/c/farpoint.h include/farpoint.h COPYONLY)
if(FARPOINT_PYTHON)
  set(include_folder farpoint/include)
  set(library_folder farpoint/lib)
  set(library_version ${abi})
else()
  set(include_folder ${CMAKE_INSTALL_INCLUDEDIR})
  set(library_folder ${CMAKE_INSTALL_LIBDIR})
  set(library_version ${abi}.${PROJECT_VERSION})
endif()
target_include_directories(farpoint INTERFACE
  $<BUILD_INTERFACE:${CMAKE_CURRENT_BINARY_DIR}/include> $<INSTALL_INTERFACE:${include_folder}>)

# Only farpoint_*: the C++ library's templates are visible by default, and would meet those of other libraries.
if(APPLE)
  target_link_options(farpoint PRIVATE "LINKER:-exported_symbol,_farpoint_*")
else()
  set(exports ${CMAKE_CURRENT_SOURCE_DIR}/csrc/c/exports.map)
  target_link_options(farpoint PRIVATE LINKER:--version-script=${exports})
  set_target_properties(farpoint PROPERTIES LINK_DEPENDS ${exports})
endif()

if(NOT (FARPOINT_PYTHON AND APPLE))
  set_target_properties(farpoint PROPERTIES VERSION ${library_version} SOVERSION ${abi})
endif()

if(NOT FARPOINT_INSTALL)
  return()
endif()

set(namelink NAMELINK_COMPONENT c)
if(FARPOINT_PYTHON AND NOT APPLE)
  set(namelink NAMELINK_SKIP)
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/namelink/libfarpoint.so "INPUT(libfarpoint.so.${abi})\n")
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/namelink/libfarpoint.so DESTINATION ${library_folder} COMPONENT c)
endif()

install(TARGETS farpoint EXPORT farpoint
  LIBRARY DESTINATION ${library_folder} COMPONENT c ${namelink})
install(FILES csrc/c/farpoint.h DESTINATION ${include_folder} COMPONENT c)

set(package_folder ${library_folder}/cmake/farpoint)
install(EXPORT farpoint NAMESPACE farpoint:: FILE farpointTargets.cmake DESTINATION ${package_folder}
  COMPONENT c)
configure_package_config_file(cmake/farpointConfig.cmake.in farpointConfig.cmake
  INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/farpointConfigVersion.cmake
  COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/farpointConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/farpointConfigVersion.cmake DESTINATION ${package_folder} COMPONENT c)

# The files stay right when the whole tree is moved: pkg-config knows where its own are.
set(package_folder ${library_folder}/pkgconfig)
file(RELATIVE_PATH to_include /prefix/${package_folder} /prefix/${include_folder})
configure_file(cmake/farpoint.pc.in farpoint.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/farpoint.pc DESTINATION ${package_folder} COMPONENT c)
