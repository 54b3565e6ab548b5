"""The build backend: scikit-build-core, but a wheel without the extension requires Numba.

Where the extension cannot be compiled, scikit-build-core makes a pure-Python wheel of the rest
(pyproject.toml). Only Numba makes that one fast, so its metadata then require what the extra "numba" names.
That is known when the wheel is built and not before, so there is no prepare_metadata_for_build_wheel:
installers would take what it says for the wheel's requirements. Without it they build the wheel and read it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from pathlib import Path
from typing import Any

from scikit_build_core import build as _backend
from scikit_build_core.build import (
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
]

_OPTIONAL = re.compile(r"^(Requires-Dist: .*?) *; *extra *== *['\"]numba['\"] *$", re.M)


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build a wheel and return its name."""
    name = _backend.build_wheel(wheel_directory, config_settings, metadata_directory)
    return _require_numba_if_pure(Path(wheel_directory, name))


def build_editable(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build an editable wheel and return its name."""
    name = _backend.build_editable(wheel_directory, config_settings, metadata_directory)
    return _require_numba_if_pure(Path(wheel_directory, name))


def _require_numba_if_pure(wheel: Path) -> str:
    if wheel.name.endswith("-none-any.whl"):
        partial = wheel.with_suffix(".partial")
        with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as target:
            _copy_with_numba(source, target)
        partial.replace(wheel)
    return wheel.name


def _copy_with_numba(source: zipfile.ZipFile, target: zipfile.ZipFile) -> None:
    """Copy a wheel; its METADATA gets the requirements, and its RECORD the new hash."""
    folder = next(name.partition("/")[0] for name in source.namelist() if ".dist-info/" in name)
    metadata_name, record_name = f"{folder}/METADATA", f"{folder}/RECORD"
    metadata = _with_numba(source.read(metadata_name).decode()).encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(metadata).digest()).decode().rstrip("=")
    changed = {
        metadata_name: metadata,
        record_name: re.sub(
            rf"^{re.escape(metadata_name)},.*$",
            f"{metadata_name},sha256={digest},{len(metadata)}",
            source.read(record_name).decode(),
            flags=re.M,
        ).encode(),
    }
    for entry in source.infolist():
        target.writestr(entry, changed.get(entry.filename, source.read(entry)))


def _with_numba(metadata: str) -> str:
    """Repeat the requirements of the extra "numba" without their condition."""
    header, blank, description = metadata.partition("\n\n")
    required = _OPTIONAL.findall(header)
    if not required:
        raise RuntimeError('the wheel\'s metadata have no extra "numba"')
    return "\n".join((header, *required)) + blank + description
