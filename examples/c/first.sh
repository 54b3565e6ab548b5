#!/bin/sh
# Compiles first.c against the package that `python` has, and runs it.
set -eu
export PKG_CONFIG_PATH=$(python -c "import farpoint; print(farpoint.get_pkgconfig_dir())")
cc first.c $(pkg-config --cflags --libs farpoint) -Wl,-rpath,$(pkg-config --variable=libdir farpoint) -o first
./first
