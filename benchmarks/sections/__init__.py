"""One module a section of the benchmark: a name, what it is about, and `run`, which measures and reports."""

from __future__ import annotations

from types import ModuleType

from sections import (
    chem,
    clustered,
    differences,
    distributed,
    dropins,
    gpu,
    longruns,
    lowdim,
    memmap,
    nearest,
    outofcore,
    real,
    scaling,
    small,
)

_MODULES = (
    *(real, clustered, memmap, outofcore, longruns, small, lowdim, nearest, differences, chem),
    *(scaling, dropins, distributed, gpu),
)

SECTIONS: dict[str, ModuleType] = {module.__name__.rpartition(".")[2]: module for module in _MODULES}
