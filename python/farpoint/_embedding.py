"""Where the files are that other programs compile against and link with: docs/embedding.md."""

from __future__ import annotations

from pathlib import Path


def get_include() -> str:
    """Return the folder of `farpoint.h`, the C interface.

    Returns
    -------
    str
        For the compiler's option ``-I``.

    Raises
    ------
    RuntimeError
        farpoint was installed without its compiled parts.

    Examples
    --------
    >>> import os
    >>> os.listdir(farpoint.get_include())
    ['farpoint.h']
    """
    return str(_installed("include/farpoint.h").parent)


def get_library() -> str:
    """Return the path of the shared library behind `farpoint.h`.

    Returns
    -------
    str
        The file that programs load, for ``ctypes.CDLL`` or ``dlopen``. Its folder is the linker's for
        ``-lfarpoint``.

    Raises
    ------
    RuntimeError
        farpoint was installed without its compiled parts.

    Examples
    --------
    >>> import ctypes
    >>> ctypes.CDLL(farpoint.get_library()).farpoint_abi_version()
    1
    """
    return str(_installed("lib/libfarpoint.so.*", "lib/libfarpoint*.dylib"))


def get_cmake_dir() -> str:
    """Return the folder of the CMake package, whose target is ``farpoint::farpoint``.

    Returns
    -------
    str
        For ``cmake -Dfarpoint_DIR=...``.

    Raises
    ------
    RuntimeError
        farpoint was installed without its compiled parts.

    Examples
    --------
    >>> import os
    >>> "farpointConfig.cmake" in os.listdir(farpoint.get_cmake_dir())
    True
    """
    return str(_installed("lib/cmake/farpoint/farpointConfig.cmake").parent)


def get_pkgconfig_dir() -> str:
    """Return the folder of `farpoint.pc`, for pkg-config.

    Returns
    -------
    str
        For the environment variable ``PKG_CONFIG_PATH``.

    Raises
    ------
    RuntimeError
        farpoint was installed without its compiled parts.

    Examples
    --------
    >>> import os
    >>> os.listdir(farpoint.get_pkgconfig_dir())
    ['farpoint.pc']
    """
    return str(_installed("lib/pkgconfig/farpoint.pc").parent)


def _installed(*patterns: str) -> Path:
    """Return the file of the package that matches one of the patterns."""
    import farpoint

    # An editable install has two folders: that of the sources, and that of what was compiled.
    for folder in farpoint.__path__:
        for pattern in patterns:
            for path in sorted(Path(folder).glob(pattern)):
                return path
    name = patterns[0].rpartition("/")[2].removesuffix(".*")
    raise RuntimeError(
        f"farpoint was installed without {name}: no C++20 compiler was found, or the compilation failed; "
        "reinstall with a compiler: "
        "pip install --no-cache-dir --no-binary farpoint --force-reinstall farpoint"
    )
