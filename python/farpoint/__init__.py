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

import logging

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
from farpoint._config import version as _version
from farpoint._embedding import get_cmake_dir, get_include, get_library, get_pkgconfig_dir
from farpoint._files import open_matrix
from farpoint.backends import warn_if_pure_python
from farpoint.deduplication import Deduplication, deduplicate
from farpoint.refinement import refine
from farpoint.selection import Locations, Selection

__all__ = [
    "ClosestPair",
    "Deduplication",
    "Locations",
    "Nearest",
    "Selection",
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
    "select",
    "show_config",
    "update",
]

__version__: str


def __getattr__(name: str) -> str:
    if name == "__version__":
        return _version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Silent until the application says where messages go.
logging.getLogger("farpoint").addHandler(logging.NullHandler())

warn_if_pure_python()
