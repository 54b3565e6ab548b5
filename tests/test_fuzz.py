"""A little of the fuzzer (tests/fuzz/); CI runs two minutes, `make fuzz` ten; `-k "not fuzz"` skips it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

pytest.importorskip("resource", reason="needs limits of memory")

from tests.fuzz import run
from tests.fuzz.targets import Arrays, Target, targets
from tests.modules import run_module

# Its cases run in a process that may take little memory.
pytestmark = pytest.mark.memory


def test_fuzz() -> None:
    found = run_module("tests.fuzz", "--seconds", os.environ.get("FARPOINT_FUZZ_SECONDS", "15"))
    print(found.stdout)
    assert found.returncode == 0, found.stdout
    assert "nothing wrong" in found.stdout


def test_fuzz_cases_are_reproducible_and_reach_every_target() -> None:
    chosen = targets()
    names: Counter[str] = Counter()
    for number in range(200):
        name, start, content = run.draw(3, number, chosen)
        if number % 20 == 0:  # from files that are made again
            assert (name, start, content) == run.draw(3, number, targets())
        names[name] += 1
    assert set(names) == set(chosen)


def reading(read: object) -> Target:
    """Return a target with this reader, whose trusted one finds the letters of a file."""

    def letters(path: Path, options: dict[str, str]) -> Arrays:
        return {"letters": np.frombuffer(path.read_bytes(), dtype=np.uint8)}

    return Target([], read if callable(read) else letters, letters)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "case.npy"
    file.write_bytes(b"letters")
    return file


def raises(error: Exception) -> Target:
    def read(path: Path, options: dict[str, str]) -> NoReturn:
        raise error

    return reading(read)


@pytest.mark.parametrize(
    "target, expected",
    [
        (raises(ValueError("case.npy: truncated")), "refused"),
        (raises(ValueError("truncated")), "wrong: the error does not name the file"),
        (raises(MemoryError("case.npy")), "wrong: MemoryError"),
        (raises(KeyError("case.npy")), "wrong: KeyError"),
        (reading(None), "read"),
        (reading(lambda *_: {"letters": np.zeros(7, dtype=np.uint8)}), "wrong: letters has other elements"),
        (reading(lambda *_: {"letters": np.zeros(6, dtype=np.uint8)}), "wrong: letters has shape (6,)"),
        (reading(lambda *_: {}), "wrong: [] were read"),
    ],
)
def test_fuzz_tells_right_from_wrong(path: Path, target: Target, expected: str) -> None:
    assert ": ".join(run.run_case(target, path, {})).startswith(expected)


def test_fuzz_says_what_the_trusted_reader_refuses(path: Path) -> None:
    target = reading(None)
    untrusting = Target([], target.read, raises(OSError("bad checksum")).read)
    assert run.run_case(untrusting, path, {}) == (
        "wrong",
        "was read, where the trusted reader says OSError: bad checksum",
    )


ENDINGS = {
    "import os; os.abort()": "ended the process (-6)",
    "while True: pass": "hung",
    "raise SystemExit(1)": "was wrong",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_fuzz_survives_what_its_cases_do(
    ending: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Crashes and hangs of the process in which cases run are reported with the command that repeats them."""
    monkeypatch.setenv("FARPOINT_TEST_FUZZ_CASE", ending)
    monkeypatch.setattr(run, "run_until", end_as_told)
    assert run.watch(5, 60, "npy") == 1
    assert f"case 3 of seed 5 {ENDINGS[ending]}; again: {run.command(5, 3, 'npy')}" in capfd.readouterr().out


def end_as_told(seed: int, seconds: float, only: str | None, folder: Path, at: object) -> None:
    """Stand in for run_until, in the process that it is run in."""
    import signal

    at.value = 3  # type: ignore[attr-defined]
    run.limit_process()
    signal.setitimer(signal.ITIMER_PROF, 0.5)
    exec(os.environ["FARPOINT_TEST_FUZZ_CASE"])


def test_fuzz_cases_can_be_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept.npy"
    found = run_module("tests.fuzz", "--seed", "3", "--case", "7", "--keep", str(kept))
    assert found.returncode == 0, found.stdout
    assert kept.read_bytes() == run.draw(3, 7, targets())[2]
    assert found.stdout.splitlines()[1].startswith(("read", "refused: "))
