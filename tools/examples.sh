#!/bin/sh
# Builds and runs the programs under examples/ as users do. Usage: tools/examples.sh CMAKE NINJA PYTHON FOLDER
#
# PYTHON is one that farpoint is installed in: C and Rust are linked with what is in that package, then once more
# with a plain installation below FOLDER, which is made here. FOLDER is what they are built in; farpoint itself is built
# beside it, in FOLDER-library and FOLDER-cpp, with the options of its tests, so that ccache knows its objects.
set -eu

cmake=$1 ninja=$2 python=$3 folder=$4
root=$(cd "$(dirname "$0")/.." && pwd)

say() { printf '\n--- %s\n' "$*"; }

configure() {
    "$cmake" -G Ninja -DCMAKE_MAKE_PROGRAM="$ninja" "$@" >"$folder/configure.log" 2>&1 || {
        cat "$folder/configure.log"
        exit 1
    }
}

# Programs in C and Rust, with the library whose CMake package is in $2 and whose pkg-config file is in $3.
run_linked() {
    say "C, by find_package ($1)"
    rm -rf "$folder/$1"
    configure -S "$root/examples/c" -B "$folder/$1/c" -Dfarpoint_DIR="$2"
    "$cmake" --build "$folder/$1/c"
    "$folder/$1/c/first"
    "$folder/$1/c/select"

    say "C, by pkg-config ($1)"
    export PKG_CONFIG_PATH="$3"
    # shellcheck disable=SC2046 # options
    "${CC:-cc}" -std=c99 -pedantic -Wall -Wextra -Werror "$root/examples/c/select.c" \
        $(pkg-config --cflags --libs farpoint) -o "$folder/$1/select"
    LD_LIBRARY_PATH=$(pkg-config --variable=libdir farpoint) "$folder/$1/select"

    say "Rust ($1)"
    cargo run --offline --manifest-path "$root/examples/rust/Cargo.toml" --target-dir "$folder/$1/rust"
}

mkdir -p "$folder"
find_in_package() { "$python" -c "import farpoint; print(farpoint.get_$1_dir())"; }
say "C, as docs/embedding.md has it"
mkdir -p "$folder/first"
cp "$root/examples/c/first.c" "$root/examples/c/first.sh" "$folder/first"
(cd "$folder/first" && PATH="$(dirname "$python"):$PATH" ./first.sh)

run_linked package "$(find_in_package cmake)" "$(find_in_package pkgconfig)"

say "a plain installation"
configure -S "$root" -B "$folder-library" -DFARPOINT_PYTHON=OFF -DFARPOINT_CUDA=OFF -DFARPOINT_WERROR=ON \
    -DCMAKE_INSTALL_LIBDIR=lib
"$cmake" --build "$folder-library"
rm -rf "$folder/prefix"
"$cmake" --install "$folder-library" --prefix "$folder/prefix" --strip
# What is found must not depend on where it was built.
rm -rf "$folder/moved"
mv "$folder/prefix" "$folder/moved"
run_linked prefix "$folder/moved/lib/cmake/farpoint" "$folder/moved/lib/pkgconfig"

# With fused multiply-adds where the processor has them: the contract must hold all the same.
flags=""
if grep -qs '\bfma\b.*\bavx2\b\|\bavx2\b.*\bfma\b' /proc/cpuinfo; then
    flags=-march=haswell
fi
say "C++, by add_subdirectory ${flags:+with $flags}"
launcher=""
if command -v ccache >/dev/null 2>&1; then
    launcher="$cmake;-E;env;CCACHE_BASEDIR=$root;ccache"
fi
configure -S "$root/examples/cpp" -B "$folder-cpp" -DCMAKE_BUILD_TYPE=Release -DFARPOINT_WERROR=ON \
    -DCMAKE_CXX_COMPILER_LAUNCHER="$launcher" -DPROCESSOR_FLAGS="$flags"
"$cmake" --build "$folder-cpp"
"$folder-cpp/own_storage"
