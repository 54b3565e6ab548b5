"""A little of the soak test (tests/soak.py); CI runs a minute, `make soak` ten; `-k "not soak"` skips it."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import numpy as np
import pytest

import farpoint
from tests import soak
from tests.modules import run_module
from tests.soak_instances import DIFFERENCE_METRICS, DTYPES, KINDS, METRICS, draw


def test_soak() -> None:
    found = run_module("tests.soak", "--seconds", os.environ.get("FARPOINT_SOAK_SECONDS", "15"))
    print(found.stdout)
    assert found.returncode == 0, found.stdout
    assert "no difference" in found.stdout


def test_soak_instances_are_reproducible() -> None:
    for number in range(200):
        first, second = draw(3, number), draw(3, number)
        assert first.about == second.about
        for a, b in zip(first.arguments, second.arguments, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "seed, number, about",
    # A head whose bound lets everything through is not made: it was used all the same.
    # Duplicates in two steps: another pick at distance 0 was met before the row that is kept away from.
    [
        (638301610, 2189, "h_min, 790x64 int8, huge_offset, C order"),
        (863628381, 3284, "select, 352x41 float16, huge_offset, swapped bytes"),
    ],
)
def test_soak_instances_that_were_wrong_once(seed: int, number: int, about: str) -> None:
    found = run_module("tests.soak", "--seed", str(seed), "--instance", str(number))
    assert found.stdout.startswith(about), "the instances have changed: find another one"
    assert found.returncode == 0, found.stdout


def test_soak_draws_every_kind_of_everything() -> None:
    about = "\n".join(draw(0, number).about for number in range(3000))
    wanted = [kind.__name__ for kind in KINDS] + [dtype.name for dtype in DTYPES]
    wanted += ["C order", "Fortran", "every other", "larger matrix", "reversed", "unaligned", "swapped"]
    wanted += [*METRICS, *DIFFERENCE_METRICS]
    wanted += ["selected", "anchors", "min_distance", "'assign': True", "center", "random"]
    wanted += ["weights", "quotas", "exclude"]
    wanted += ["select,", "nearest,", "h_min,", "covering_radius,", "pairwise_distances,"]
    assert [word for word in wanted if word not in about] == []


def test_soak_says_what_differs() -> None:
    X = np.random.default_rng(0).standard_normal((30, 4))
    right, wrong = farpoint.select(X, 5), farpoint.select(X, 5, start=1)
    assert soak.difference(right, farpoint.select(X, 5)) == ""
    assert "indices[0]: " in soak.difference(wrong, right)
    assert "where the reference has" in soak.difference(ValueError("no"), right)
    radii = right.radii.copy()
    radii[3] = np.nextafter(radii[3], 0)
    nearly = farpoint.Selection(right.indices, radii, right.covering_radius)
    assert soak.difference(nearly, right).startswith("radii[3]: ")


@pytest.mark.skipif(importlib.util.find_spec("farpoint._cpu") is None, reason="no compiled extension")
def test_soak_fails_with_the_command_that_repeats_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine that is wrong once in a while is found, and the instance that it prints shows it again."""
    from farpoint import _cpu as extension

    right = extension.nearest

    def wrong(**arguments: Any) -> tuple[Any, Any]:
        values, indices = right(**arguments)
        if len(indices) > 50:
            indices[50] += 1
        return values, indices

    monkeypatch.setattr(extension, "nearest", wrong)
    coverage = soak.Coverage()
    number = next(i for i in range(500) if soak.run_instance(1, i, False, coverage))
    assert soak.again(1, number, False) == 1
    assert "indices[50]" in capsys.readouterr().out
    assert soak.command(1, number) == f"python -m tests.soak --seed 1 --instance {number}"
