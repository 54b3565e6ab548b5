"""The most evenly spread rows of a matrix of embeddings: exact farthest-point selection, fast.

>>> import numpy as np
>>> import farpoint
>>> X = np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [0.0, 6.0]])
>>> s = farpoint.select(X, k=3)
>>> s.indices
array([0, 2, 3])
>>> s.h_min
6.0
"""

import importlib
import importlib.util
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farpoint._api import (
        ClosestPair,
        Nearest,
        covering_radius,
        extend,
        h_min,
        nearest,
        pairwise_distances,
        select,
        update,
    )
    from farpoint._config import show_config
    from farpoint._embedding import get_cmake_dir, get_include, get_library, get_pkgconfig_dir
    from farpoint._files import open_matrix
    from farpoint._uniformity import Uniformity, uniformity
    from farpoint.deduplication import Deduplication, deduplicate
    from farpoint.refinement import refine
    from farpoint.reporting import Report, report
    from farpoint.selection import Locations, Selection

    __version__: str

# Where the public names are: importing farpoint loads none of these modules, using a name loads its own.
_MODULES = {
    "ClosestPair": "_api",
    "Deduplication": "deduplication",
    "Locations": "selection",
    "Nearest": "_api",
    "Report": "reporting",
    "Selection": "selection",
    "Uniformity": "_uniformity",
    "covering_radius": "_api",
    "deduplicate": "deduplication",
    "extend": "_api",
    "get_cmake_dir": "_embedding",
    "get_include": "_embedding",
    "get_library": "_embedding",
    "get_pkgconfig_dir": "_embedding",
    "h_min": "_api",
    "nearest": "_api",
    "open_matrix": "_files",
    "pairwise_distances": "_api",
    "refine": "refinement",
    "report": "reporting",
    "select": "_api",
    "show_config": "_config",
    "uniformity": "_uniformity",
    "update": "_api",
}

__all__ = [
    "ClosestPair",
    "Deduplication",
    "Locations",
    "Nearest",
    "Report",
    "Selection",
    "Uniformity",
    "__version__",
    "covering_radius",
    "deduplicate",
    "extend",
    "get_cmake_dir",
    "get_include",
    "get_library",
    "get_pkgconfig_dir",
    "h_min",
    "nearest",
    "open_matrix",
    "pairwise_distances",
    "refine",
    "report",
    "select",
    "show_config",
    "uniformity",
    "update",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from farpoint._config import version

        return version()
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"farpoint.{_MODULES[name]}"), name)
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# Silent until the application says where messages go.
logging.getLogger("farpoint").addHandler(logging.NullHandler())

if importlib.util.find_spec("farpoint._cpu") is None:
    from farpoint.backends import warn_if_pure_python

    warn_if_pure_python()
