"""Files that are written whole or not at all, and are still there after a power cut."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SUFFIX = ".partial"
# A temporary file that nothing was written to for so long is that of a process that was killed.
_STALE_SECONDS = 600.0


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it over `path` if nothing was raised.

    What it held is on the disk before it is renamed, and so is the folder's entry afterwards.
    """
    import tempfile

    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=_SUFFIX)
    except OSError as error:
        # Of the file that was asked for, not of the temporary one.
        raise type(error)(error.errno, error.strerror, str(target)) from None
    partial = Path(name)
    try:
        os.close(handle)
        yield partial
        # mkstemp's files are private to the user; a result is as readable as the umask says.
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)
        _flush(partial)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # not all network file systems can
        _flush(target.parent)


def _flush(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_stale(path: Path) -> None:
    """Remove what writers of `path` that were killed have left behind."""
    for partial in path.parent.iterdir():
        if partial.name.startswith(f".{path.name}.") and partial.name.endswith(_SUFFIX):
            try:
                if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
                    partial.unlink()
            except OSError:
                # Another process was faster, or it is another user's: it is in nobody's way.
                continue


def check_writable(path: Path) -> None:
    """Raise before the work is done, not after it, if `path` cannot be written."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give a file to write")
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"{path} cannot be written: there is no folder {folder}")
    try_to_write(folder, path)


def try_to_write(folder: Path, path: Path) -> None:
    """Raise, of `path`, if no file can be made in `folder`."""
    import tempfile

    # Asking for permissions would not do: they say nothing of a file system that is read-only.
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}") from None
