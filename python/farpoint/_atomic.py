"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it over `path` if nothing was raised."""
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".partial")
    except OSError as error:
        # Of the file that was asked for, not of the temporary one.
        raise type(error)(error.errno, error.strerror, str(target)) from None
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        # mkstemp's files are private to the user; a result is as readable as the umask says.
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
