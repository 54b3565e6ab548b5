"""Which of several arrays or columns of a file is meant."""

from __future__ import annotations

from collections.abc import Sequence


def choose(names: Sequence[str], wanted: str | None, kind: str, option: str) -> str:
    """Return the one that is wanted, or the only one.

    Raises
    ------
    ValueError
        It is not there, or there are several and none is named with `option`.
    """
    listed = ", ".join(names)
    if wanted is not None:
        if wanted not in names:
            raise ValueError(f"no {kind} {wanted!r}; there are {listed}")
        return wanted
    if not names:
        raise ValueError(f"holds no {kind}")
    if len(names) > 1:
        raise ValueError(f"holds several {kind}s ({listed}); say which with {option}")
    return names[0]
