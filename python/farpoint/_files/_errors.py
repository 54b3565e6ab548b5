"""Whatever goes wrong with a file is said of it by name, as an error of a kind that users expect."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turn what a reader raises into errors of a few kinds that name the file."""
    try:
        yield
    except ImportError:
        raise
    except ValueError as error:
        message = _first_line(error)
        raise ValueError(message if message.startswith(str(path)) else f"{path}: {message}") from error
    except TypeError as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} cannot be read: {_first_line(error)}") from error
    except MemoryError as error:
        raise MemoryError(f"{path}: {_first_line(error) or 'not enough memory'}") from error
    except OSError as error:
        if error.errno is None:  # how pyarrow says that a file is damaged
            raise ValueError(f"{path} cannot be read: {_first_line(error)}") from error
        advice = "; every file of a dataset needs one: raise the limit (ulimit -n)"
        raise OSError(
            error.errno, f"{path}: {error.strerror}{advice if error.errno == errno.EMFILE else ''}"
        ) from error
    except Exception as error:  # whatever a library raises on a damaged file
        raise ValueError(f"{path} cannot be read: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
