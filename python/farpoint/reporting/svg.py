"""A plot as SVG for a page: text stays text, colours are variables, the same facts give the same bytes."""

from __future__ import annotations

import io
import re

from farpoint.reporting.facts import Facts
from farpoint.reporting.figures import draw
from farpoint.reporting.palette import stand_ins, with_variables


def svg(facts: Facts, name: str, label: str) -> str:
    """Return one plot as an ``<svg>`` element, which screen readers call `label`.

    Parameters
    ----------
    facts : Facts
    name : str
        One of `figures.PLOTS`.
    label : str
        Plain text without markup.
    """
    written = io.StringIO()
    draw(facts, name, stand_ins(), written, format="svg", metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"\s+\n|\n\s*", "\n", text)
    # Names of groups are the same in all plots, and nothing refers to them.
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    view = re.search(r'viewBox="[^"]*"', text)
    assert view is not None
    head = f'<svg class="plot" role="img" aria-label="{label}" {view[0]} xmlns="http://www.w3.org/2000/svg" '
    head += 'xmlns:xlink="http://www.w3.org/1999/xlink">'
    return with_variables(re.sub(r"<svg[^>]*>", head, text, count=1)).strip()
