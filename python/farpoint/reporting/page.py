"""The page: facts and plots put into the template, which escapes whatever comes from the user."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath
from typing import Any

from farpoint.reporting.facts import Facts, Neighbours, Pair
from farpoint.reporting.figures import available
from farpoint.reporting.palette import variables
from farpoint.reporting.svg import svg

# Characters of a text that are shown.
_LONGEST_TEXT = 240

_LABELS = {
    "radii": "h_min and covering radius against the number of picks",
    "neighbours": "Histograms of the distance to the nearest other row",
    "projection": "Rows and picks along the two principal axes",
    "clusters": "Rows of each pick, from the largest down",
}
_SETS = {"selection": "the selection", "random": "a random subset", "all": "all rows"}


@dataclass(frozen=True)
class _Row:
    """A row of the matrix, as tables name it."""

    name: str
    where: str
    text: str | None


def render(facts: Facts, title: str, texts: Sequence[str] | None) -> str:
    """Return the page.

    Parameters
    ----------
    facts : Facts
    title : str
    texts : sequence of str, optional
        One a row of the matrix.
    """
    import jinja2
    import markupsafe

    templates = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["number"] = _number
    templates.filters["count"] = lambda value: f"{value:,}"
    templates.filters["percent"] = lambda value: f"{value:.1%}"
    rows = {row: _row(facts, row, texts) for row in facts.rows()}
    shown: str = templates.get_template("page.html").render(
        title=title,
        facts=facts,
        said=facts.selection,
        tiles=_tiles(facts),
        details=_details(facts),
        plots={
            name: markupsafe.Markup(svg(facts, name, _LABELS[name]))  # noqa: S704 (matplotlib's, of numbers)
            for name in available(facts)
        },
        neighbours=_neighbour_rows(facts.neighbours),
        pair_tables=_pair_tables(facts, rows),
        clusters=[(cluster, rows[cluster.row]) for cluster in facts.clusters.largest]
        if facts.clusters
        else [],
        has_texts=texts is not None,
        style=markupsafe.Markup(variables() + _template("page.css")),  # noqa: S704 (the package's own)
    )
    return shown


def _template(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "unknown"
    return "∞" if math.isinf(value) else f"{value:.6g}"


def _tiles(facts: Facts) -> list[dict[str, Any]]:
    """Return the numbers at the top: name, value, what it means, exact value."""
    said = facts.selection
    covered = "every row is within this of a pick" + (
        ", or of what was kept away from" if said["kept_away"] else ""
    )
    bounded = f"no {said['k']:,} rows have a larger h_min"
    if math.isnan(said["covering_radius"]):
        covered = "the largest distance of a row to its nearest pick"
    if math.isinf(said["upper_bound"]):
        bounded = (
            "one row is near no other" if said["k"] == 1 else "of h_min: with weights or quotas there is none"
        )
    tiles = [
        ("h_min", said["h_min"], "the smallest distance between two picks"),
        ("covering radius", said["covering_radius"], covered),
        ("upper bound", said["upper_bound"], bounded),
    ]
    found: list[dict[str, Any]] = [
        {"name": name, "text": _number(value), "about": about, "exact": repr(value)}
        for name, value, about in tiles
    ]
    if not math.isnan(said["share"]):
        about = "at least this share of the largest h_min possible"
        found.append(
            {
                "name": "certified",
                "text": f"{said['share']:.0%}",
                "about": about,
                "exact": repr(said["share"]),
            }
        )
    random = facts.neighbours.get("random") if facts.neighbours else None
    if random is not None and 0 < random.smallest < math.inf and random.rows == random.of:
        times = said["h_min"] / random.smallest
        about = "the h_min of a random subset of this size"
        found.append(
            {
                "name": "against random",
                "text": f"{times:.3g} \N{MULTIPLICATION SIGN}",
                "about": about,
                "exact": repr(times),
            }
        )
    return found


def _details(facts: Facts) -> list[tuple[str, str]]:
    """Return what else the selection says of itself, where it does."""
    said = facts.selection
    kind = "farthest first" if said["farthest_first"] else "with weights or quotas"
    if said["refined"]:
        kind += ", refined"
    if said["kept_away"]:
        kind += ", away from other rows"
    engine = " ".join(str(said[name]) for name in ("backend", "simd") if said[name])
    if engine and said["threads"]:
        engine += f", {said['threads']} thread{'s' if said['threads'] > 1 else ''}"
    seconds = said["seconds"]
    found = [
        ("picks (k)", f"{said['k']:,}"),
        ("rows (n)", said["n"] and f"{said['n']:,}"),
        ("columns (d)", said["d"] and f"{said['d']:,}"),
        ("elements", said["dtype"]),
        ("files", said["files"] and f"{said['files']:,}"),
        ("metric", said["metric"]),
        ("selected", kind),
        ("computed by", engine),
        ("seconds", None if seconds is None else f"{seconds:.3g}"),
        ("farpoint", said["version"]),
    ]
    return [(name, str(value)) for name, value in found if value]


def _neighbour_rows(neighbours: dict[str, Neighbours] | None) -> list[tuple[str, Neighbours]]:
    return [(_SETS[name], found) for name, found in (neighbours or {}).items()]


def _pair_tables(facts: Facts, rows: dict[int, _Row]) -> list[tuple[str, str, list[tuple[Pair, _Row, _Row]]]]:
    """Return heading, remark and rows of each table of nearest pairs."""
    if facts.pairs is None or facts.neighbours is None:
        return []
    looked_at = facts.neighbours["all"]
    whole = looked_at.rows == looked_at.of
    remarks = {
        "selection": "",
        "all": "" if whole else f"Of {looked_at.rows:,} sampled rows, each with the nearest of all others.",
    }
    headings = {"selection": "In the selection", "all": "In all rows"}
    return [
        (headings[name], remarks[name], [(pair, rows[pair.rows[0]], rows[pair.rows[1]]) for pair in pairs])
        for name, pairs in facts.pairs.items()
        if pairs
    ]


def _row(facts: Facts, row: int, texts: Sequence[str] | None) -> _Row:
    where = ""
    if row in facts.places:
        file, within = facts.places[row]
        where = f"{PurePath(file).name}, row {within:,}"
    text = None if texts is None else str(texts[row])
    if text is not None and len(text) > _LONGEST_TEXT:
        text = text[:_LONGEST_TEXT].rstrip() + " …"
    return _Row(f"row {row:,}", where, text)
