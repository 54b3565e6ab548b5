"""What is installed here, and why what is not is not."""

from __future__ import annotations

import importlib.util
import platform
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

if TYPE_CHECKING:
    from farpoint.backends._protocol import Backend


@cache
def version() -> str:
    """Return farpoint's version."""
    import importlib.metadata  # takes as long as a tenth of the package

    return importlib.metadata.version("farpoint")


def config() -> dict[str, Any]:
    """Return what `show_config` prints."""
    from farpoint._validation import check_threads
    from farpoint.backends import AUTOMATIC, BACKENDS

    backends = {name: _state(backend) for name, backend in BACKENDS.items()}
    # What select(backend="auto") does: it takes the first that is installed, and raises if that is broken.
    installed = [name for name in AUTOMATIC if BACKENDS[name].unavailable() is None]
    auto = installed[0] if installed and backends[installed[0]]["available"] else None
    blamed = installed[:1] or AUTOMATIC
    return {
        "farpoint": version(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": check_threads(None),
        "auto": auto,
        "auto_reason": None if auto else "; ".join(f"{name}: {backends[name]['reason']}" for name in blamed),
        "backends": backends,
        "optional": {
            module: importlib.util.find_spec(module) is not None
            for module in ("cupy", "numba", "tqdm", "pyarrow", "safetensors", "ml_dtypes", "matplotlib")
        },
    }


def _state(backend: Backend) -> dict[str, Any]:
    try:
        reason = backend.unavailable()
        if reason is not None:
            return {"available": False, "reason": reason}
        return {"available": True, **backend.describe()}
    except Exception as error:
        # Shown, not raised: this is where users look when something is broken.
        return {"available": False, "reason": f"{type(error).__name__}: {error}"}


@overload
def show_config(mode: Literal["text"] = "text") -> None: ...
@overload
def show_config(mode: Literal["dict"]) -> dict[str, Any]: ...
def show_config(mode: str = "text") -> dict[str, Any] | None:
    """Show version, backends with SIMD level or devices or the reason why they are missing, and threads.

    Parameters
    ----------
    mode : {"text", "dict"}
        Print, or return a dictionary instead.

    Returns
    -------
    dict or None
        The dictionary for ``mode="dict"``.

    Examples
    --------
    >>> farpoint.show_config("dict")["backends"]["reference"]
    {'available': True}
    """
    if mode not in ("text", "dict"):
        raise ValueError(f'mode must be "text" or "dict", not {mode!r}')
    found = config()
    if mode == "dict":
        return found
    print("\n".join(format_config(found)))
    return None


def format_config(found: dict[str, Any]) -> list[str]:
    """Return the lines that `show_config` prints."""
    lines = [
        f"farpoint {found['farpoint']}  (Python {found['python']}, numpy {found['numpy']}, "
        f"{found['platform']})",
        f"threads   {found['threads']}",
        f"auto      {found['auto'] or 'None: ' + found['auto_reason']}",
        "backends",
    ]
    for name, backend in found["backends"].items():
        details = dict(backend)
        if details.pop("available"):
            text = ", ".join(
                f"{key} {' '.join(value) if isinstance(value, list) else value}"
                for key, value in details.items()
            )
            lines.append(f"  {name:<10} yes  {text}".rstrip())
        else:
            lines.append(f"  {name:<10} no   {details['reason']}")
    lines.append(
        "optional  "
        + ", ".join(f"{name} {'yes' if there else 'no'}" for name, there in found["optional"].items())
    )
    return lines
