"""Weights, groups, quotas and excluded rows on the command line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from farpoint._files import read_npy


def add(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.add_argument(
        "--weights", metavar="FILE", help="how much each row is wanted: .npy, or text, a number a line"
    )
    command.add_argument(
        "--groups", metavar="FILE", help="the group of each row: .npy, or text, a label a line"
    )
    command.add_argument(
        "--quotas",
        metavar="QUOTAS",
        help="picks of each group: name=10 (exactly), name=5:20, name=5: and name=:20 (at least, at most), "
        'separated by commas, * for all other groups; or JSON such as {"name": [5, 20]}',
    )
    command.add_argument(
        "--exclude",
        metavar="FILE",
        help="rows never to select: .npy (row numbers or a mask), a saved selection (.npz), or text",
    )


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `farpoint.select` that these options are, but for exclude."""
    groups = None if options.groups is None else read_groups(Path(options.groups))
    quotas = None if options.quotas is None else parse_quotas(options.quotas, groups)
    weights = None if options.weights is None else read_weights(Path(options.weights))
    return {"weights": weights, "groups": groups, "quotas": quotas}


def read_weights(path: Path) -> Any:
    """Return the numbers in a file."""
    if path.suffix.lower() == ".npy":
        return _read_npy(path)
    words = _lines(path)
    try:
        return np.array([float(word) for word in words])
    except ValueError as error:
        raise ValueError(f"{path} must hold weights, one a line: {error}") from None


def read_groups(path: Path) -> Any:
    """Return the labels in a file: integers where all are."""
    if path.suffix.lower() == ".npy":
        return _read_npy(path)
    lines = _lines(path)
    try:
        return np.array([int(line) for line in lines], dtype=np.int64)
    except (ValueError, OverflowError):
        return np.array(lines)


def parse_quotas(text: str, groups: Any) -> Any:
    """Return the quotas that the text says, with labels of the type that the groups have."""
    if text.lstrip().startswith("{"):
        try:
            named = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"--quotas is not JSON: {error}") from None
    else:
        named = dict(_parse_quota(part) for part in text.split(","))
    whole = groups is not None and groups.dtype.kind in "iu"
    return {_label(name, whole): quota for name, quota in named.items()}


def _parse_quota(part: str) -> tuple[str, Any]:
    name, separator, limits = part.rpartition("=")
    try:
        least, colon, most = limits.partition(":")
        if not separator or (colon and not (least or most)):
            raise ValueError
        if not colon:
            return name.strip(), int(least)
        return name.strip(), (int(least) if least else None, int(most) if most else None)
    except ValueError:
        raise ValueError(
            f"--quotas must be name=10, name=5:20, name=5: or name=:20, separated by commas, not {part!r}"
        ) from None


def _label(name: str, whole: bool) -> Any:
    if name == "*":
        return ...
    try:
        return int(name) if whole else name
    except ValueError:
        return name  # no group is called so, which the error will say


def _read_npy(path: Path) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return read_npy(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _lines(path: Path) -> list[str]:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    return path.read_text(encoding="utf-8").splitlines()
