"""What a user who names files means: files, folders of them, patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeGuard

from farpoint._files.zarr import is_zarr

Source = str | os.PathLike[str] | list[str | os.PathLike[str]] | tuple[str | os.PathLike[str], ...]


def is_source(source: Any) -> TypeGuard[Source]:
    """Whether files are named, and not numbers given: a path, or a list of nothing but paths."""
    if isinstance(source, (list, tuple)):
        return bool(source) and all(isinstance(item, (str, os.PathLike)) for item in source)
    return isinstance(source, (str, os.PathLike))


def expand(source: Source, suffixes: Collection[str]) -> list[Path]:
    """Return the files that are named, in order: lists as they are, folders and patterns by name.

    Raises
    ------
    FileNotFoundError
        A path or a pattern that names nothing.
    ValueError
        A folder without files of a known suffix.
    """
    if isinstance(source, (list, tuple)):
        return [path for item in source for path in expand(item, suffixes)]
    path = Path(source)
    if path.is_dir() and not is_zarr(path):
        files = sorted(file for file in path.iterdir() if _is_listed(file, suffixes))
        if not files:
            raise ValueError(f"folder {path} holds no file of a known suffix ({', '.join(suffixes)})")
        return files
    if path.exists():
        return [path]
    if glob.has_magic(str(path)):
        # Not Path.glob, which takes no absolute patterns.
        matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
        if not matches:
            raise FileNotFoundError(f"{path}: no file matches this pattern")
        for match in matches:
            if match.is_dir() and not is_zarr(match):
                raise ValueError(f"{match}, which {path} matches, is a folder, not a file")
        return matches
    raise FileNotFoundError(f"{path}: no such file")


def name_of(source: Source) -> str:
    """Return what messages call all of it."""
    if not isinstance(source, (list, tuple)):
        return str(source)
    rest = len(source) - 1
    return str(source[0]) + (f" and {rest} more" if rest else "")


def _is_listed(file: Path, suffixes: Collection[str]) -> bool:
    if file.name.startswith("."):
        return False
    return is_zarr(file) if file.is_dir() else file.name.lower().endswith(tuple(suffixes))
