"""Telling how far a run is: the estimate of the time left, the bar, JSON lines, the log."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import farpoint
from farpoint import _progress
from farpoint._progress import TimeLeft
from farpoint.cli import main
from tests.conftest import Array

# (Picks, seconds) of real runs on 2 busy cores of an AMD EPYC: 117,659 embeddings x 384 (the second
# goes on from 6,000 picks, which takes 2.4 s before the first new one), 60,000 x 256, 1,000,000 x 3, 40,000
# embeddings (cosine), 200,000 x 64 in clusters.
# fmt: off
CURVES: dict[str, list[tuple[int, float]]] = {
    "real embeddings": [
        (7, 0.20), (14, 0.31), (25, 0.37), (54, 0.54), (105, 0.66), (207, 1.05), (323, 1.12), (567,
        2.07), (921, 2.23), (1416, 2.44), (1998, 2.56), (2400, 2.67), (3140, 3.05), (3953, 3.27),
        (4708, 3.43), (5417, 3.60), (6343, 3.81), (7188, 4.07), (8068, 4.31), (8432, 4.53), (8988,
        4.59), (9847, 4.81), (10806, 5.12), (11675, 5.36), (12671, 5.56), (13565, 5.83), (14548,
        6.10), (15484, 6.36), (16478, 6.63), (17393, 6.91), (18309, 7.23), (19305, 7.55), (19435,
        7.87), (20000, 7.90),
    ],
    "real embeddings, resumed": [
        (6092, 2.46), (6247, 2.52), (6560, 2.57), (7169, 2.73), (8012, 2.94), (8817, 3.15), (9003,
        3.37), (9619, 3.42), (10528, 3.64), (11359, 3.85), (11783, 4.12), (12285, 4.17), (12941,
        4.38), (13189, 4.43), (14113, 4.71), (15065, 5.03), (16011, 5.31), (16978, 5.65), (17318,
        5.91), (17851, 5.97), (18802, 6.30), (19852, 6.68), (20000, 7.01),
    ],
    "random": [
        (80, 0.07), (260, 0.14), (293, 0.19), (543, 0.25), (755, 0.30), (1124, 0.47), (1219, 0.53),
        (1856, 0.94), (1957, 1.26), (2331, 1.31), (2759, 1.36), (2842, 1.42), (2871, 1.80), (3231,
        1.85), (3637, 1.90), (4015, 1.96), (5126, 2.30), (6000, 2.54),
    ],
    "three columns": [
        (764, 0.20), (7041, 0.26), (17356, 0.31), (27249, 0.36), (38737, 0.41), (49302, 0.46),
        (59848, 0.51), (71772, 0.56), (82675, 0.61), (96742, 0.66), (108558, 0.71), (120034, 0.76),
        (132423, 0.82), (143512, 0.87), (154376, 0.92), (162861, 0.97), (174103, 1.02), (185334,
        1.07), (197678, 1.12), (200000, 1.14),
    ],
    "half of the rows": [
        (8, 0.06), (16, 0.11), (33, 0.16), (94, 0.27), (212, 0.33), (436, 0.39), (650, 0.72), (1104,
        0.82), (1691, 0.98), (2372, 1.09), (3156, 1.36), (3296, 1.41), (4039, 1.47), (4625, 1.53),
        (5589, 1.63), (6422, 1.74), (7333, 1.84), (8244, 2.00), (9144, 2.15), (9387, 2.26), (10106,
        2.31), (11030, 2.42), (11939, 2.58), (12906, 2.73), (14019, 2.90), (14958, 3.06), (15393,
        3.22), (15923, 3.27), (16865, 3.44), (17827, 3.61), (18823, 3.78), (19841, 3.95), (20000,
        4.09),
    ],
    "clusters": [
        (6, 0.06), (10, 0.12), (15, 0.17), (22, 0.23), (32, 0.28), (38, 0.43), (48, 0.49), (50,
        0.54), (59, 0.65), (116, 0.71), (311, 0.81), (677, 0.86), (1128, 2.11), (2272, 2.38), (2739,
        3.03), (4798, 3.08), (5447, 3.88), (6924, 3.93), (8211, 4.00), (8292, 4.82), (9356, 4.88),
        (11576, 4.94), (12841, 6.05), (15327, 6.11), (15485, 7.95), (16779, 8.00), (18019, 8.05),
        (20000, 8.08),
    ],
}
# fmt: on


def rows(n: int, d: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def whole_times(curve: list[tuple[int, float]], beginning: float = 0.0) -> list[tuple[float, float]]:
    """Return, for each moment, the share of the time that was over and the estimate of all, as a share."""
    left = TimeLeft()
    total, end = curve[-1]
    found = []
    for done, seconds in curve[:-1]:
        left.reached(done, seconds)
        estimate = left.until(total)
        if estimate is not None:
            found.append((seconds / end, (seconds + estimate) / end))
    return found


@pytest.mark.parametrize("name", CURVES)
def test_time_left_of_real_runs(name: str) -> None:
    estimates = whole_times(CURVES[name])
    assert len(estimates) > len(CURVES[name]) / 2
    assert np.median([abs(whole - 1) for share, whole in estimates if share > 0.25]) < 0.35
    # Picks come in bursts where levels are few: a moment's estimate may be off by more.
    assert max(abs(whole - 1) for share, whole in estimates if share > 0.75) < 0.35


def test_time_left_does_not_see_what_came_before_the_first_pick() -> None:
    curve = CURVES["real embeddings, resumed"]
    later = [(done, seconds + 1000.0) for done, seconds in curve]
    left, left_later = TimeLeft(), TimeLeft()
    for moment, moment_later in zip(curve, later, strict=True):
        left.reached(*moment)
        left_later.reached(*moment_later)
        assert left_later.until(20_000) == pytest.approx(left.until(20_000))


def test_time_left_of_even_work_is_right() -> None:
    left = TimeLeft()
    for done in range(1, 5001):
        left.reached(done, 3.0 + done / 100)
        seconds = left.until(10_000)
        if done <= 197:  # 2 % of those that are left
            assert seconds is None
        else:
            assert seconds == pytest.approx((10_000 - done) / 100, rel=0.02)
    assert left.until(5000) == 0.0
    assert len(left._done) <= 2 * _progress._MOMENTS


def test_time_left_of_nothing_is_not_known() -> None:
    left = TimeLeft()
    assert left.until(100) is None
    left.reached(40, 1.0)
    assert left.until(100) is None
    assert left.until(40) == 0.0


def test_the_bar_shows_picks_radius_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    X = rows(400, 8)
    s = farpoint.select(X, 300)
    farpoint.select(X, 300, progress=True, backend="reference")
    shown = capsys.readouterr().err
    assert "100%|" in shown
    assert f"300/300 [00:00, radius {s.h_min:.4g}, 00:00 left]" in shown
    # One that goes on begins where it is.
    farpoint.extend(s, X, 350, progress=True)
    shown = capsys.readouterr().err
    assert "86%|" in shown
    assert "350/350 [" in shown


def test_the_bar_of_an_unknown_number_of_picks_has_no_share(capsys: pytest.CaptureFixture[str]) -> None:
    X = rows(400, 8)
    s = farpoint.select(X, min_distance=2.0, progress=True, backend="reference")
    shown = capsys.readouterr().err
    assert f"farpoint: {len(s)} picks [00:00, radius {s.h_min:.4g}, down to 2]" in shown
    assert "%" not in shown
    assert "/400" not in shown
    assert "left" not in shown
    # With both, k is the most that there can be.
    farpoint.select(X, 390, min_distance=2.0, progress=True, backend="reference")
    assert f"{len(s)}/390 [" in capsys.readouterr().err


def test_json_lines_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    X = rows(2000, 8)
    s = farpoint.select(X, 150)
    file = str(tmp_path / "x.npy")
    np.save(file, X)
    command = ["select", file, "--backend", "reference", "--json"]
    assert main([*command, "-k", "150"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["k"] == 150
    events = [json.loads(line) for line in err.splitlines()]
    assert all(
        list(event) == ["event", "done", "total", "radius", "seconds", "seconds_left"] for event in events
    )
    assert {event["event"] for event in events} == {"progress"}
    assert [event["done"] for event in events] == sorted({event["done"] for event in events})
    assert {event["total"] for event in events} == {150}
    assert all(event["radius"] == s.radii[event["done"] - 1] for event in events)
    last = events[-1]
    assert (last["done"], last["seconds_left"]) == (150, 0.0)
    # A few a second, and the last.
    assert len(events) <= 2 + last["seconds"] / 0.25
    assert main([*command, "--min-distance", "3.5"]) == 0
    last = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert last["done"] == len(farpoint.select(X, min_distance=3.5))
    assert last["total"] is last["seconds_left"] is None
    assert main([*command, "-k", "1"]) == 0
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["radius"] is None
    assert main([*command, "-k", "30", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["k"] == 30
    assert err == ""


def test_the_log_is_silent_by_default(tmp_path: Path) -> None:
    script = f"""
import numpy as np, farpoint
from farpoint import _checkpoint
X = np.random.default_rng(0).standard_normal((300, 6))
for k in (20, 40):
    farpoint.select(X, k, checkpoint={str(tmp_path / "run.npz")!r})
def fail(done, *rest):
    if done > 60: raise ZeroDivisionError
_checkpoint.np.savez = lambda *a, **b: (_ for _ in ()).throw(OSError(28, "No space left on device"))
try:
    farpoint.select(X, 90, checkpoint={str(tmp_path / "run.npz")!r}, progress=fail, backend="reference")
except ZeroDivisionError:
    print("ended")
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr) == ("ended\n", "")


def test_the_log_says_what_happens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    X = rows(300, 6)
    path = tmp_path / "run.npz"
    with caplog.at_level(logging.DEBUG, logger="farpoint"):
        farpoint.select(X, 20, checkpoint=path, backend="reference", threads=1)
        farpoint.select(X, 40, checkpoint=path, backend="reference", threads=1)
    lines = [f"{record.name} {record.levelname} {record.getMessage()}" for record in caplog.records]
    about = "of 300 rows of 6 columns (float32, euclidean)"
    for line in (
        f"farpoint.select INFO selecting up to 20 {about}, 1 of them known; backend reference, 1 threads",
        f"farpoint.checkpoint DEBUG checkpoint {path}: 20 picks written in 0.",
        "farpoint.select INFO selected 20 rows in 0.",
        f"farpoint.checkpoint INFO checkpoint {path} holds 20 picks",
        f"farpoint.select INFO selecting up to 40 {about}, 20 of them known; backend reference, 1 threads",
    ):
        assert any(shown.startswith(line) for shown in lines), lines


def test_the_log_of_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", rows(300, 6))
    command = ["select", str(tmp_path / "x.npy"), "-k", "20", "--quiet", "-o", str(tmp_path / "o.npy")]
    command += ["--checkpoint", str(tmp_path / "run.npz")]
    assert main(command) == 0
    assert capsys.readouterr() == ("", "")
    assert main([*command, "-v"]) == 0
    once = capsys.readouterr().err.splitlines()
    assert once[0].endswith("run.npz holds 20 picks")
    assert once[-1].startswith("farpoint.select: selected 20 rows in ")
    assert main([*command, "-vv", "-k", "30"]) == 0
    assert "30 picks written in" in capsys.readouterr().err
    assert main([*command, "-v", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert all(event["event"] == "log" and event["level"] == "info" for event in events)
    assert "selecting up to 20" in events[1]["message"]
    # What a command asked for is its own.
    assert logging.getLogger("farpoint").level == logging.NOTSET
    assert len(logging.getLogger("farpoint").handlers) == 1
