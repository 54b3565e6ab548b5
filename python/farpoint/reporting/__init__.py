"""Seeing a selection: one page with what can be said of it, and its plots.

`facts` says what there is to show and `collecting` finds it; `figures` draws it, `svg` and `palette` make the
drawings fit for light and dark pages, `page` puts all into the template.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from farpoint._atomic import atomic_write
from farpoint.selection import Selection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from farpoint.reporting.collecting import Progress
    from farpoint.reporting.facts import Facts

TITLE = "farpoint selection"


@dataclass(frozen=True, eq=False)
class Report:
    """A page about a selection.

    Attributes
    ----------
    html : str
        The page: it loads nothing and runs no script.
    facts : Facts
        What it shows, as plain data; ``facts.record()`` is what JSON can hold.
    """

    html: str = field(repr=False)
    facts: Facts = field(repr=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page. All or nothing: an existing file is replaced at the end.

        Parameters
        ----------
        path : path-like
            Written as given; no suffix is appended.

        Raises
        ------
        OSError
            It cannot be written; what was there before still is.
        """
        with atomic_write(path) as partial:
            partial.write_bytes(encoded(self.html))


def encoded(html: str) -> bytes:
    """Return the bytes of a page; halves of characters, which some texts hold, become references to them."""
    return html.encode("utf-8", errors="xmlcharrefreplace")


def report(
    selection: Selection,
    X: Any = None,
    *,
    texts: Sequence[str] | None = None,
    title: str = TITLE,
    sample: int = 4000,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Make a page that shows a selection: how evenly spread it is, and what is in it.

    The page has h_min, covering radius and the bound on them; radii against the number of picks; and with X
    distances to nearest neighbours in the selection, in a random subset and in all rows, a projection,
    nearest pairs and the largest clusters. It is one file, for light and dark screens, paper and phones.

    Parameters
    ----------
    selection : Selection
    X : (n, d) array_like, or paths, optional
        The matrix that it was made from, on the host; as for `select`. Without it the page shows what the
        selection itself knows.
    texts : sequence of str, optional
        What each row of X stands for; shown of the rows that the page names. Needs X.
    title : str
        Of the page.
    sample : int
        How many rows of X are compared with all others, and used for the projection: all of them, where there
        are no more. The page says how many.
    seed : int
        For the sample and the random subset.
    threads : int, optional
        As for `select`.
    progress : callable, optional
        Gets (stages done, stages, what is computed next).

    Returns
    -------
    Report
        With a method `save`.

    Raises
    ------
    ValueError, TypeError
        The selection was made from another X: of another shape or element type, or its picks are not as far
        apart there. Or an argument is wrong, which the message says.
    ImportError
        Matplotlib or Jinja2 is not installed: ``pip install "farpoint[report]"``.

    Notes
    -----
    Most of the time goes to finding the nearest pick of every row, which costs as much as
    ``nearest(X, X[selection.indices])``, and is saved where the selection was made with ``assign=True``; and
    to the nearest other row of `sample` rows. docs/report.md has measurements.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)
    >>> s = farpoint.select(X, 40)
    >>> r = farpoint.report(s, X, title="forty of five hundred")
    >>> r.facts.neighbours["selection"].smallest == s.h_min
    True
    >>> import os, tempfile
    >>> r.save(os.path.join(tempfile.mkdtemp(), "report.html"))
    """
    require_libraries("a report", "report", "matplotlib", "jinja2")
    from farpoint.reporting.collecting import collect
    from farpoint.reporting.page import render

    if not isinstance(title, str):
        raise TypeError(f"title must be a str, not {type(title).__name__}")
    check_texts(selection, X, texts)
    facts = collect(selection, X, sample=sample, seed=seed, threads=threads, progress=progress)
    return Report(render(facts, title, texts), facts)


def check_texts(selection: Selection, X: Any, texts: Sequence[str] | None) -> None:
    """Raise unless there is a text for each row."""
    if texts is None:
        return
    if isinstance(texts, (str, bytes)) or not hasattr(texts, "__len__") or not hasattr(texts, "__getitem__"):
        raise TypeError(f"texts must be a sequence of strings, one a row, not {type(texts).__name__}")
    if X is None:
        raise ValueError("texts are of rows that are found in X: give X too")
    rows = selection.info.get("n", len(texts))
    if len(texts) != rows:
        raise ValueError(f"there are {len(texts)} texts for the {rows} rows that the selection was made from")


def plotted(selection: Selection, X: Any, *, kind: str | None, dark: bool, **arguments: Any) -> Figure:
    """Return a figure: what `Selection.plot` does."""
    require_libraries("a plot", "plot", "matplotlib")
    from farpoint.reporting.collecting import collect
    from farpoint.reporting.figures import check_kind, plot

    check_kind(kind)
    return plot(collect(selection, X, **arguments), kind, dark=dark)


def require_libraries(what: str, extra: str, *names: str) -> None:
    """Raise, before the work is done, if what draws and writes is not installed."""
    import importlib.util

    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f'{what} needs {" and ".join(missing)}: pip install "farpoint[{extra}]"')
