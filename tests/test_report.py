"""What reports and plots show, and what they do with odd selections, hostile texts and wrong matrices."""

from __future__ import annotations

import gzip
import importlib.util
import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import farpoint
from farpoint import reporting
from farpoint._neighbours import nearest_others
from farpoint.cli import main
from farpoint.reporting.collecting import collect
from farpoint.reporting.palette import DARK, LIGHT, stand_ins
from farpoint.reporting.projection import PrincipalAxes
from farpoint.reporting.texts import read_texts

for needed in ("matplotlib", "jinja2"):
    pytest.importorskip(needed)

X = np.random.default_rng(7).standard_normal((400, 6)).astype(np.float32)
BITS = np.random.default_rng(8).integers(0, 256, (120, 4), dtype=np.uint8)


class Page(HTMLParser):
    """Tags of a page, and the numbers that it is made to show."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def number(self, name: str) -> float:
        found = [
            attributes["data-exact"] for _, attributes in self.tags if attributes.get("data-name") == name
        ]
        assert len(found) == 1
        assert found[0] is not None
        return float(found[0])

    @property
    def plots(self) -> int:
        return sum(tag == "svg" for tag, _ in self.tags)


# --- Facts ------------------------------------------------------------------------------------------------


def brute_force(X: Any, metric: str) -> tuple[Any, Any]:
    distances = farpoint.pairwise_distances(X, metric=metric)
    np.fill_diagonal(distances, math.inf)
    return distances.min(axis=1), distances.argmin(axis=1)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_nearest_others_are_those_of_all_distances(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that there are many pieces, and halves of them.
    monkeypatch.setattr(farpoint._neighbours, "_PIECE_ROWS", 150)
    monkeypatch.setattr(farpoint._neighbours, "_FEW_PAIRS", 200)
    repeated = np.concatenate((X, X[:30], X[:30]))
    distances, indices = brute_force(repeated, metric)
    parted = farpoint._parts.PartedMatrix(
        [("a", [repeated[:7], repeated[7:200]]), ("b", [repeated[200:]])], "ab"
    )
    for matrix in (repeated, parted):
        for rows in (np.arange(len(repeated)), np.array([0, 3, 31, 199, 399, 402, 459])):
            found = nearest_others(matrix, rows, metric=metric)
            np.testing.assert_array_equal(found.distances, distances[rows])
            np.testing.assert_array_equal(found.indices, indices[rows])


def test_facts_are_what_the_public_functions_say() -> None:
    s = farpoint.select(X, 50)
    facts = collect(s, X)
    distances, _ = brute_force(X[s.indices], "euclidean")
    assert facts.neighbours is not None
    assert facts.pairs is not None
    assert facts.clusters is not None
    assert facts.bins is not None
    assert facts.neighbours["selection"].smallest == s.h_min == distances.min()
    assert facts.neighbours["selection"].largest == distances.max()
    # Bins do not straddle h_min.
    assert s.h_min in facts.bins
    assert not any(facts.neighbours["selection"].shares[: facts.bins.index(s.h_min)])
    counts = np.histogram(distances, facts.bins)[0]
    np.testing.assert_allclose(facts.neighbours["selection"].shares, counts / 50)
    closest = farpoint.h_min(X)
    assert facts.pairs["all"][0] == reporting.facts.Pair(closest.value, (closest.i, closest.j))
    for pairs in facts.pairs.values():
        assert [pair.distance for pair in pairs] == sorted(pair.distance for pair in pairs)
        assert len({pair.rows for pair in pairs}) == len(pairs) == 8
        for pair in pairs:
            i, j = pair.rows
            assert farpoint.pairwise_distances(X[i : i + 1], X[j : j + 1])[0, 0] == pair.distance
    assert {row for pair in facts.pairs["selection"] for row in pair.rows} <= set(s.indices.tolist())
    sizes = np.bincount(farpoint.nearest(X, X[s.indices]).indices, minlength=50)
    assert facts.clusters.sizes == sorted(sizes.tolist(), reverse=True)
    for cluster in facts.clusters.largest:
        assert cluster.row == s.indices[cluster.order - 1]
        assert cluster.size == sizes[cluster.order - 1]
    assert facts.prefixes[1] == (25, s.prefix(25).h_min, s.prefix(25).covering_radius)
    assert facts.curve[0] == (2, s.radii[1], s.radii[1])
    assert facts.curve[-1] == (50, s.h_min, s.h_min)
    assert facts.random_h_min is not None
    assert facts.random_h_min[-1] == (50, facts.neighbours["random"].smallest)
    # With labels the same, without computing them again.
    assert collect(farpoint.select(X, 50, assign=True), X).clusters == facts.clusters


def test_samples_are_seeded_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting.collecting, "_MOST_ROWS", 20)
    monkeypatch.setattr(reporting.collecting, "_SMALLEST_RADII", 5)
    s = farpoint.select(X, 60)
    facts = collect(s, X, sample=100)
    assert facts == collect(s, X, sample=100)
    assert facts != collect(s, X, sample=100, seed=1)
    assert facts.neighbours is not None
    assert facts.neighbours["all"].rows == 100
    assert facts.neighbours["selection"].rows < 60
    # The pair that h_min is of is there all the same.
    assert facts.neighbours["selection"].smallest == s.h_min
    html = farpoint.report(s, X, sample=100).html
    text = Page(html).text
    assert "all rows (100 rows looked at)" in text
    assert re.search(r"the selection \(2[0-5] rows looked at\)", text)
    assert "Of 100 sampled rows, each with the nearest of all others." in text
    # Of a sampled random subset h_min is not known.
    assert "against random" not in text
    assert html == farpoint.report(s, X, sample=100).html


@pytest.mark.parametrize("shape", [(300, 5), (5, 300), (40, 1)])
def test_principal_axes_are_those_of_the_singular_values(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(2).standard_normal(shape) * np.linspace(5, 1, shape[1]) + 100
    centred = rows - rows.mean(axis=0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    found = PrincipalAxes(rows, "euclidean")
    shares = values**2 / np.sum(values**2)
    for axis in range(min(2, len(values))):
        assert found.shares[axis] == pytest.approx(shares[axis])
        np.testing.assert_allclose(
            np.abs(found.project(rows)[:, axis]), np.abs(centred @ axes[axis]), atol=1e-8
        )
    if shape[1] == 1:
        assert found.shares[1] == 0
        assert not found.project(rows)[:, 1].any()


def test_principal_axes_of_bits_cosines_and_extreme_numbers() -> None:
    rows = np.unpackbits(BITS, axis=1).astype(np.float64)
    np.testing.assert_allclose(
        PrincipalAxes(BITS, "jaccard").project(BITS), PrincipalAxes(rows, "euclidean").project(rows)
    )
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(
        PrincipalAxes(X * 1e30, "cosine").project(X),
        PrincipalAxes(unit, "euclidean").project(unit),
        atol=1e-6,
    )
    for scale in (1e300, 1e-300):
        found = PrincipalAxes(X.astype(np.float64) * scale, "euclidean").project(X.astype(np.float64) * scale)
        np.testing.assert_allclose(
            found / scale, PrincipalAxes(X, "euclidean").project(X), rtol=1e-6, atol=1e-9
        )


def test_large_samples_are_thinned_for_the_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting.projection, "_LARGEST_SIDE", 30)
    rows = np.random.default_rng(2).standard_normal((200, 50)) * np.linspace(9, 1, 50)
    chosen = rows[np.linspace(0, 199, 30).round().astype(int)]
    np.testing.assert_allclose(
        PrincipalAxes(rows, "euclidean").project(rows), PrincipalAxes(chosen, "euclidean").project(rows)
    )


# --- Odd selections ---------------------------------------------------------------------------------------

LINE = np.arange(40.0)[:, None]
Case = tuple[Any, Callable[[Any], farpoint.Selection]]
CASES: dict[str, Case] = {
    "plain": (X, lambda X: farpoint.select(X, 40)),
    "one pick": (X, lambda X: farpoint.select(X, 1)),
    "two picks": (X, lambda X: farpoint.select(X, 2)),
    "all rows": (X, lambda X: farpoint.select(X, 1.0)),
    "one row": (X[:1], lambda X: farpoint.select(X, 1)),
    "two rows": (X[:2], lambda X: farpoint.select(X, 2)),
    "duplicates": (np.repeat(X[:20], 3, axis=0), lambda X: farpoint.select(X, 45)),
    "constant": (np.ones((30, 3)), lambda X: farpoint.select(X, 7)),
    "one column": (LINE, lambda X: farpoint.select(X, 9)),
    "weights": (X, lambda X: farpoint.select(X, 30, weights=np.linspace(1, 5, len(X)))),
    "quotas": (X, lambda X: farpoint.select(X, 30, groups=np.arange(len(X)) % 3, quotas=10)),
    "prefix of weights": (X, lambda X: farpoint.select(X, 30, weights=np.linspace(1, 5, len(X))).prefix(20)),
    "prefix": (X, lambda X: farpoint.select(X, 30).prefix(20)),
    "exclude": (X, lambda X: farpoint.select(X, 30, exclude=range(50))),
    "refined": (X, lambda X: farpoint.select(X, 30, refine={"moves": 20, "seconds": 20})),
    "selected": (X, lambda X: farpoint.select(X, 30, selected=[3, 4, 5])),
    "one pick beside selected": (X, lambda X: farpoint.select(X, 1, selected=[3, 4, 5])),
    "anchors and labels": (X, lambda X: farpoint.select(X, 30, anchors=X[:5] + 0.1, assign=True)),
    "cosine": (X, lambda X: farpoint.select(X, 30, metric="cosine")),
    "sqeuclidean": (X, lambda X: farpoint.select(X, 30, metric="sqeuclidean")),
    "hamming": (BITS, lambda X: farpoint.select(X, 30, metric="hamming")),
    "jaccard": (BITS, lambda X: farpoint.select(X, 30, metric="jaccard")),
    "int8": ((X * 30).astype(np.int8), lambda X: farpoint.select(X, 30)),
    "tiny": (X.astype(np.float64) * 1e-300, lambda X: farpoint.select(X, 30)),
    "huge": (X.astype(np.float64) * 1e300, lambda X: farpoint.select(X, 30)),
    "beyond float64": (X.astype(np.float64) * 1e200, lambda X: farpoint.select(X, 30, metric="sqeuclidean")),
    "updated": (X[:300], lambda rows: farpoint.update(farpoint.select(X[300:], 9), rows, 5, X=X[300:])),
}


@pytest.mark.parametrize("name", CASES)
def test_every_selection_has_a_page(name: str) -> None:
    matrix, make = CASES[name]
    s = make(matrix)
    for given in (matrix, None):
        made = farpoint.report(s, given)
        page = Page(made.html)
        for label, value in (
            ("h_min", s.h_min),
            ("covering radius", s.covering_radius),
            ("upper bound", s.upper_bound),
        ):
            np.testing.assert_equal(page.number(label), value)
        has_radii = len(s) > 1 or bool(np.isfinite(s.radii[0]))
        assert page.plots == has_radii + (0 if given is None else 3)
        assert "nan" not in page.text.lower().split()
        assert json.loads(json.dumps(made.facts.record(), allow_nan=False))["selection"]["k"] == len(s)
        assert len(made.html) < 2_000_000


def test_pages_are_small_whatever_they_show() -> None:
    many = np.random.default_rng(0).standard_normal((30_000, 3)).astype(np.float32)
    s = farpoint.select(many, 8000)
    texts = ["word " * 1000] * len(many)
    assert len(farpoint.report(s, many, texts=texts).html) < 600_000


def test_a_selection_of_several_files_names_them(tmp_path: Path) -> None:
    for part in range(3):
        np.save(tmp_path / f"part{part}.npy", X[part * 100 : part * 100 + 100])
    s = farpoint.select(tmp_path, 20)
    made = farpoint.report(s, tmp_path)
    where = s.locate()
    assert made.facts.pairs is not None
    row = made.facts.pairs["selection"][0].rows[0]
    pick = s.indices.tolist().index(row)
    file, within = Path(where.files[where.file[pick]]).name, where.row[pick]
    assert f"row {row} ({file}, row {within})" in Page(made.html).text
    assert made.facts == farpoint.report(s, X[:300]).facts


# --- Plots ------------------------------------------------------------------------------------------------


def test_plots_are_figures_that_can_be_saved(tmp_path: Path) -> None:
    s = farpoint.select(X, 40)
    for kind in ("radii", "neighbours", "projection", "clusters", None):
        for dark in (False, True):
            figure = s.plot(X, kind=kind, dark=dark)
            figure.savefig(tmp_path / "plot.png", dpi=40)
            assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert len(s.plot().axes) == 1
    axes = s.plot(kind="radii").axes[0]
    line = next(line for line in axes.get_lines() if line.get_label() == "h_min of the selection")
    assert line.get_ydata()[-1] == s.h_min
    assert line.get_xdata()[-1] == 40


def test_plots_leave_the_settings_of_matplotlib_alone() -> None:
    import matplotlib as mpl

    with mpl.rc_context({"axes.facecolor": "red", "font.size": 40}):
        before = dict(mpl.rcParams)
        figure = farpoint.select(X, 10).plot()
        assert dict(mpl.rcParams) == before
    assert figure.axes[0].get_facecolor()[3] == 0
    assert figure.axes[0].xaxis.label.get_fontsize() < 20


def test_plots_that_cannot_be_drawn() -> None:
    s = farpoint.select(X, 4)
    with pytest.raises(
        ValueError, match="kind must be one of radii, neighbours, projection, clusters, not 'pie'"
    ):
        s.plot(X, kind="pie")
    with pytest.raises(ValueError, match="clusters cannot be drawn: that takes the matrix; give X"):
        s.plot(kind="clusters")
    with pytest.raises(ValueError, match="nothing can be drawn: a lone pick has no radius"):
        s.prefix(1).plot()
    assert s.prefix(1).plot(X).axes


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.1)."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dim = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_colours_can_be_read(palette: Any) -> None:
    for surface in (palette.surface, palette.page):
        for text in (palette.ink, palette.muted, palette.selection):
            assert contrast(text, surface) >= 4.5
        for mark in (palette.random, palette.everything):
            assert contrast(mark, surface) >= 3
    # In the order that they are drawn in, colours grow only lighter, or only darker: also in grey.
    steps = [contrast(color, "#000000") for color in palette.order]
    assert steps in (sorted(steps), sorted(steps, reverse=True))


def test_no_colour_of_a_page_is_a_stand_in() -> None:
    html = farpoint.report(farpoint.select(X, 20), X).html
    assert not re.search(r"#fe00[0-9a-f]{2}", html)
    used = set(re.findall(r"var\((--[\w-]+)\)", html))
    assert used <= set(re.findall(r"(--[\w-]+):", html))
    assert {"--ink", "--selection", "--random", "--everything", "--order-0"} <= used
    assert len({stand_ins().ink, *stand_ins().order}) == 13


# --- Pages ------------------------------------------------------------------------------------------------

ATTACK = (
    "</style><script>document.title='owned'</script><img src=x onerror=alert(1)> {{ 7*7 }} \" ' & \ud800 \x00"
)


def test_what_users_write_is_shown_and_never_run() -> None:
    s = farpoint.select(X, 20)
    made = farpoint.report(s, X, texts=[ATTACK] * len(X), title=ATTACK)
    page = Page(made.html)
    assert not [tag for tag, _ in page.tags if tag in ("script", "img", "iframe", "link", "object", "base")]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in page.text
    assert "49" not in made.html[: made.html.index("<style>")]
    policy = next(
        its["content"] for tag, its in page.tags if its.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_a_page_names_nothing_outside_itself() -> None:
    html = farpoint.report(farpoint.select(X, 20), X).html
    found = set(re.findall(r"https?://[^\"' )]+", html))
    assert found == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names, not addresses
    for _, attributes in Page(html).tags:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")


def test_identifiers_of_a_page_are_unique() -> None:
    page = Page(farpoint.report(farpoint.select(X, 20), X).html)
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    targets = {str(its.get("aria-labelledby")) for tag, its in page.tags if tag == "section"}
    assert targets <= set(names)
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]


def test_a_hostile_selection_makes_a_page(tmp_path: Path) -> None:
    s = farpoint.select(X, 5)
    info = {
        "n": "400",
        "d": [],
        "dtype": {},
        "backend": ATTACK * 100,
        "simd": 3,
        "threads": "x",
        "seconds": "no",
    }
    odd = farpoint.Selection(
        s.indices, s.radii, s.covering_radius, info={**info, "version": "<b>" * 10_000_000}
    )
    html = farpoint.report(odd).html
    assert len(html) < 200_000
    assert "<b>" not in html
    assert Page(html).number("h_min") == s.h_min


def test_saving_replaces_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = farpoint.report(farpoint.select(X, 5))
    path = tmp_path / "page.html"
    made.save(path)
    assert path.read_bytes() == made.html.encode()

    def fail(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="no room"):
        made.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == made.html.encode()
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


# --- Errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "matrix, message",
    [
        (X[:300], "n is 400 there and 300 here"),
        (X[:, :5], "d is 6 there and 5 here"),
        (X.astype(np.float64), "dtype is float32 there and float64 here"),
        (X[::-1], "h_min is .* there, and the picks are .* apart here"),
        (X[0], "X must be 2-D|X has 1 dimension"),
        ("none.npy", "none.npy: no such file"),
        (object(), "X"),
    ],
)
def test_another_matrix_is_refused(matrix: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        farpoint.report(farpoint.select(X, 20), matrix)


def test_another_matrix_is_refused_where_something_was_kept_away_from() -> None:
    with pytest.raises(ValueError, match="was not made from this X"):
        farpoint.report(farpoint.select(X, 60, selected=[0]), X[::-1] / 2)


def test_bits_and_numbers_are_told_apart() -> None:
    of_bits = farpoint.select(BITS, 5, metric="hamming")
    with pytest.raises(ValueError, match="dtype is uint8 there and float32 here"):
        farpoint.report(of_bits, BITS.astype(np.float32))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"texts": ["a"] * 399}, "there are 399 texts for the 400 rows"),
        ({"texts": "abc"}, "texts must be a sequence of strings, one a row, not str"),
        ({"texts": 3}, "texts must be a sequence"),
        ({"title": 3}, "title must be a str, not int"),
        ({"sample": 0}, "sample must be an integer of at least 1, not 0"),
        ({"sample": 1.5}, "sample must be an integer"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
        ({"threads": 0}, "threads"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        farpoint.report(farpoint.select(X, 20), X, **arguments)


def test_wrong_selections() -> None:
    with pytest.raises(TypeError, match=r"selection must be a farpoint.Selection, not ndarray"):
        farpoint.report(X)  # type: ignore[arg-type]
    s = farpoint.select(X, 5)
    with pytest.raises(ValueError, match="texts are of rows that are found in X"):
        farpoint.report(s, texts=["a"] * 400)
    none = farpoint.Selection(s.indices[:0], s.radii[:0], 1.0)
    with pytest.raises(ValueError, match="has no picks"):
        farpoint.report(none)


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_what_is_missing_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    with pytest.raises(ImportError, match=rf"a report needs {missing}: pip install \"farpoint\[report\]\""):
        farpoint.report(farpoint.select(X, 5))
    if missing == "matplotlib":
        with pytest.raises(ImportError, match=r"a plot needs matplotlib: pip install \"farpoint\[plot\]\""):
            farpoint.select(X, 5).plot()


# --- Command line -----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    farpoint.select("x.npy", 20).save("s.npz")
    texts = [f"text {row}\u2028\x85" for row in range(len(X))]
    Path("texts.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    with gzip.open("texts.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": row, "body": text}) + "\n" for row, text in enumerate(texts))
    return tmp_path


def test_the_command_writes_a_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    s = farpoint.Selection.load("s.npz")
    assert main(["report", "s.npz", "x.npy"]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"report.html: 20 picks, h_min {s.h_min:.6g}\n")
    assert Page(Path("report.html").read_text()).number("h_min") == s.h_min
    assert Path("report.html").read_text() == farpoint.report(s, X).html
    assert main(["report", "s.npz", "-o", "small.html", "--quiet", "--title", "Mine & yours"]) == 0
    assert capsys.readouterr() == ("", "")
    assert "<h1>Mine &amp; yours</h1>" in Path("small.html").read_text()
    assert sorted(path.name for path in folder.glob("*.html")) == ["report.html", "small.html"]


@pytest.mark.parametrize("arguments", [["texts.txt"], ["texts.jsonl.gz", "--text", "body"]])
def test_texts_are_read(folder: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "s.npz", "x.npy", "--texts", *arguments, "-o", "page.html"]) == 0
    facts = collect(farpoint.Selection.load("s.npz"), X)
    text = Path("page.html").read_text()
    for row in facts.rows():
        assert f">text {row}\u2028\x85<" in text


def test_standard_output(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["report", "s.npz", "x.npy", "-o", "-"]) == 0
    out, err = capfdbinary.readouterr()
    assert out.decode() == farpoint.report(farpoint.Selection.load("s.npz"), X).html
    assert err == b""
    assert not list(folder.glob("*.html"))


def test_json(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    facts = collect(farpoint.Selection.load("s.npz"), X)
    real = importlib.util.find_spec
    with monkeypatch.context() as patch:
        # The facts need nothing that draws.
        patch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else real(name))
        assert main(["report", "s.npz", "x.npy", "--json"]) == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert record["selection"]["h_min"] == facts.selection["h_min"]
    assert record == json.loads(json.dumps(facts.record()))
    events = [json.loads(line) for line in err.splitlines()]
    assert [event["done"] for event in events] == [0, 1, 2, 3, 4]
    assert all(event["event"] == "progress" and event["total"] == 4 for event in events)
    assert not list(folder.glob("*.html"))
    assert main(["report", "s.npz", "x.npy", "--json", "--quiet", "-o", "page.html"]) == 0
    assert json.loads(capsys.readouterr().out) == record
    assert Path("page.html").exists()


def test_a_terminal_sees_progress(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["report", "s.npz", "x.npy"]) == 0
    err = capsys.readouterr().err
    assert "\r\033[Kfarpoint: nearest neighbours (1 of 4)" in err
    assert err.rpartition("\033[K")[2].startswith("report.html: 20 picks")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "the following arguments are required: SELECTION"),
        (["none.npz"], "none.npz"),
        (["x.npy"], "x.npy is not a saved selection"),
        (["s.npz", "none.npy"], "none.npy: no such file"),
        (["s.npz", "s.npz"], "say which with key"),
        (
            ["s.npz", "x.npy", "-o", "page.pdf"],
            "page.pdf: unknown suffix '.pdf'; the known ones are .html, .htm",
        ),
        (["s.npz", "-o", "none/page.html"], "there is no folder none"),
        (["s.npz", "--texts", "texts.txt"], "--texts is of rows that are found in X: give X too"),
        (["s.npz", "x.npy", "--texts", "none.txt"], "none.txt: no such file"),
        (["s.npz", "x.npy", "--texts", "short.txt"], "there are 2 texts for the 400 rows"),
        (["s.npz", "x.npy", "--texts", "latin.txt"], "latin.txt cannot be read"),
        (["s.npz", "x.npy", "--texts", "cut.txt.gz"], "cut.txt.gz cannot be read"),
        (["s.npz", "x.npy", "--texts", "texts.jsonl.gz"], "which field"),
        (["s.npz", "x.npy", "--texts", "texts.jsonl.gz", "--text", "x"], "line 1 has no field 'x'"),
        (["s.npz", "x.npy", "--texts", "bad.jsonl", "--text", "x"], "bad.jsonl: line 1 is not a JSON object"),
        (["s.npz", "x.npy", "--texts", "texts.txt", "--text", "x"], "has no fields"),
        (["s.npz", "x.npy", "--text", "x"], "no meaning without --texts"),
        (["s.npz", "--key", "x"], "--key has no meaning without X"),
        (["s.npz", "x.npy", "--sample", "0"], "sample must be an integer of at least 1"),
        (["s.npz", "--json", "-o", "-"], "both write to standard output"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    Path("short.txt").write_text("a\nb\n")
    Path("latin.txt").write_bytes(b"\xe4\n")
    Path("cut.txt.gz").write_bytes(gzip.compress(b"text\n" * 1000)[:20])
    Path("bad.jsonl").write_text("{\n")
    assert main(["report", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert message in err
    assert not list(folder.glob("*.html"))
    assert not list(folder.glob(".*"))


def test_ctrl_c(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reporting.collecting, "nearest_others", interrupt)
    assert main(["report", "s.npz", "x.npy"]) == 130
    assert capsys.readouterr().err == "farpoint: interrupted\n"
    assert not list(folder.glob("*.html"))


def test_texts_keep_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"a\r\n\nb")
    assert read_texts(path, None) == ["a", "", "b"]
