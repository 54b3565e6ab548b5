#!/bin/sh
# Installs what pip cannot: a compiler, Python's headers and venv, and doctest for the C++ tests; for the argument
# aarch64 a compiler for 64-bit Arm and QEMU, for browser what tests of pages need, for rust what the examples need, for
# ccache itself. On Debian and its relatives, through apt-get, where that is allowed; elsewhere it says what is missing
# and goes on.
set -eu

python="${PYTHON:-python3}"
missing=""
command -v c++ >/dev/null 2>&1 || missing="$missing g++"
"$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"
"$python" -c 'import os, sysconfig; raise SystemExit(
    not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' >/dev/null 2>&1 ||
    missing="$missing python3-dev"
[ -e /usr/include/doctest/doctest.h ] || missing="$missing doctest-dev"
for wanted in "$@"; do
    case "$wanted" in
    aarch64)
        command -v aarch64-linux-gnu-g++ >/dev/null 2>&1 || missing="$missing g++-aarch64-linux-gnu"
        command -v qemu-aarch64 >/dev/null 2>&1 || missing="$missing qemu-user"
        ;;
    browser)
        command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
        command -v chromedriver >/dev/null 2>&1 || missing="$missing chromium-driver"
        ;;
    rust)
        command -v cargo >/dev/null 2>&1 || missing="$missing cargo"
        command -v pkg-config >/dev/null 2>&1 || missing="$missing pkg-config"
        ;;
    ccache) command -v ccache >/dev/null 2>&1 || missing="$missing ccache" ;;
    *) echo "unknown: $wanted (known: aarch64, browser, ccache, rust)" >&2 && exit 2 ;;
    esac
done
[ -n "$missing" ] || exit 0

as_root=""
[ "$(id -u)" -eq 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null 2>&1 && { [ -z "$as_root" ] || $as_root true 2>/dev/null; }; then
    echo "installing:$missing"
    # shellcheck disable=SC2086 # a list of words
    $as_root apt-get update -qq && $as_root apt-get install -y -qq $missing >/dev/null && exit 0
fi
echo "please install:$missing (names are Debian's)" >&2
