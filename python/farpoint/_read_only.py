"""Results whose arrays cannot be written to."""

from __future__ import annotations

from typing import Any, ClassVar


class ReadOnlyArrays:
    """For dataclasses: the fields named in `_ARRAYS` are read-only, in copies and after unpickling too."""

    _ARRAYS: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        for name in self._ARRAYS:
            array = getattr(self, name)
            if array is not None:
                # A view: what the caller holds stays as writeable as it was.
                view = array.view()
                view.flags.writeable = False
                object.__setattr__(self, name, view)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copies and pickles bring arrays that can be written to.
        self.__dict__.update(state)
        self.__post_init__()
