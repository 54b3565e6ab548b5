"""Reports in a browser: what it complains of, what it asks for, what is cut off or cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import farpoint
from farpoint import demo
from tests import browser as browsers
from tests.browser import Browser
from tests.conftest import SANITIZED

for needed in ("matplotlib", "jinja2", "selenium"):
    pytest.importorskip(needed)

# One browser for all of them.
pytestmark = pytest.mark.xdist_group("browser")

ATTACK = (
    "</bdi></style><script>window.owned = 1</script><img src=x onerror='window.owned = 1'>"
    "<svg onload='window.owned = 1'></svg>" + "unbreakable" * 30
)
K = 150


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if SANITIZED:
        pytest.skip("a browser does not run with a sanitizer's runtime")
    missing = browsers.missing()
    if missing is not None:
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with browsers.browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def selection() -> farpoint.Selection:
    return farpoint.select(demo.load()[0], K)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, selection: farpoint.Selection) -> dict[str, Path]:
    """Pages of several kinds, by name."""
    folder = tmp_path_factory.mktemp("pages")
    X, texts = demo.load()
    reports = {
        "demo": farpoint.report(selection, X, texts=texts, title="Dictionary entries"),
        "hostile": farpoint.report(selection, X, texts=[ATTACK] * len(X), title=ATTACK),
        "alone": farpoint.report(selection),
        "weights": farpoint.report(farpoint.select(X, 50, weights=np.linspace(1, 3, len(X))), X),
        "duplicates": farpoint.report(farpoint.select(np.ones((30, 4)), 9), np.ones((30, 4))),
    }
    for name, made in reports.items():
        made.save(folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in reports}


NAMES = ["demo", "hostile", "alone", "weights", "duplicates"]
every_page = pytest.mark.parametrize("name", NAMES)
both_schemes = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


@every_page
@both_schemes
def test_a_page_loads_itself_alone_and_the_console_is_silent(
    browser: Browser, pages: dict[str, Path], name: str, dark: bool
) -> None:
    browser.complaints()
    browser.requests()
    browser.open(pages[name], width=1280, dark=dark)
    assert browser.requests() == [pages[name].resolve().as_uri()]
    # The policy would be named here, too, had a text got through the template: nothing may need it.
    assert browser.complaints() == []
    assert browser.run("return window.owned === undefined && document.scripts.length === 0")


def test_a_script_in_a_page_would_not_run(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    """The second wall: what a hole in the first one would let through."""
    broken = tmp_path / "broken.html"
    broken.write_text(pages["demo"].read_text().replace("<main>", "<main><script>window.owned = 1</script>"))
    browser.open(broken, width=1280)
    assert browser.run("return window.owned === undefined && document.scripts.length === 1")
    assert any("Content Security Policy" in complaint for complaint in browser.complaints())


def test_the_numbers_are_those_of_the_selection(
    browser: Browser, pages: dict[str, Path], selection: farpoint.Selection
) -> None:
    browser.open(pages["demo"], width=1280)
    for name, value in (("h_min", selection.h_min), ("covering radius", selection.covering_radius)):
        shown = browser.run(f"return document.querySelector(\"[data-name='{name}']\").innerText")
        exact = browser.run(f"return document.querySelector(\"[data-name='{name}']\").dataset.exact")
        assert shown == f"{value:.6g}"
        assert float(exact) == value
    X, texts = demo.load()
    pair = farpoint.h_min(X[selection.indices])
    closest = sorted(selection.indices[[pair.i, pair.j]].tolist())
    first = browser.run("return document.querySelector('.pairs tbody tr').innerText")
    assert f"{selection.h_min:.6g}" in first
    assert all(texts[row][:200] in first and f"row {row:,}" in first for row in closest)
    assert browser.run("return document.title") == "Dictionary entries"


@every_page
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_cut_off(browser: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    browser.open(pages[name], width=width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    plots = browser.run(
        "return [...document.querySelectorAll('svg.plot')].map(plot => {"
        "  const box = plot.getBoundingClientRect(); return [box.left, box.right, box.width, box.height] })"
    )
    assert len(plots) == (1 if name == "alone" else 4)
    for left, right, box_width, box_height in plots:
        assert left >= 0
        assert right <= width
        assert box_width > 250
        assert box_height > 150
    outside = browser.run(
        """
        return [...document.querySelectorAll('svg.plot')].flatMap(plot => {
          const frame = plot.getBoundingClientRect();
          return [...plot.querySelectorAll('text')].filter(text => {
            const box = text.getBoundingClientRect();
            return box.left < frame.left - 1 || box.right > frame.right + 1
              || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
          }).map(text => text.textContent) })
        """
    )
    assert outside == []


@every_page
@pytest.mark.parametrize("width", [390, 1280])
def test_words_do_not_lie_on_each_other(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    browser.open(pages[name], width=width)
    overlapping = browser.run(
        """
        return [...document.querySelectorAll('svg.plot')].flatMap(plot => {
          const texts = [...plot.querySelectorAll('text')];
          const boxes = texts.map(text => text.getBoundingClientRect());
          const found = [];
          for (let i = 0; i < boxes.length; i++) for (let j = 0; j < i; j++) {
            const wide = Math.min(boxes[i].right, boxes[j].right) - Math.max(boxes[i].left, boxes[j].left);
            const high = Math.min(boxes[i].bottom, boxes[j].bottom) - Math.max(boxes[i].top, boxes[j].top);
            if (wide > 2 && high > 3) found.push([texts[i].textContent, texts[j].textContent]);
          }
          return found })
        """
    )
    assert overlapping == []


CONTRASTS = """
const numbers = color => {
  const canvas = document.createElement('canvas').getContext('2d');
  canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const luminance = color => numbers(color).map(part => part / 255)
  .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
  .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (color !== 'rgba(0, 0, 0, 0)') return color;
  }
  return 'white';
};
const found = {};
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const element = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || element.closest('style, defs')) continue;
  const style = getComputedStyle(element);
  const color = element.closest('svg') ? style.fill : style.color;
  const [dim, bright] = [luminance(color), luminance(behind(element))].sort((a, b) => a - b);
  found[`${color} on ${behind(element)}`] = (bright + 0.05) / (dim + 0.05);
}
return found;
"""


@both_schemes
def test_all_words_can_be_read(browser: Browser, pages: dict[str, Path], dark: bool) -> None:
    browser.open(pages["demo"], width=1280, dark=dark)
    found: dict[str, float] = browser.run(CONTRASTS)
    assert len(found) >= 3
    assert {pair: ratio for pair, ratio in found.items() if ratio < 4.5} == {}
    background = browser.run("return getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(_numbers(background)) < 3 * 64) == dark


def _numbers(color: str) -> list[int]:
    return [int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(",")]


def test_the_scheme_can_be_chosen(browser: Browser, pages: dict[str, Path]) -> None:
    ink = "return getComputedStyle(document.querySelector('svg.plot text')).fill"
    browser.open(pages["demo"], width=1280, dark=False)
    light = browser.run(ink)
    browser.run("document.getElementById('scheme-dark').click()")
    dark = browser.run(ink)
    assert sum(_numbers(dark)) > sum(_numbers(light)) + 300
    browser.open(pages["demo"], width=1280, dark=True)
    assert browser.run(ink) == dark
    browser.run("document.getElementById('scheme-light').click()")
    assert browser.run(ink) == light


def test_it_can_be_used_by_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(pages["demo"], width=1280, dark=False)
    body: Any = browser.driver.find_element("tag name", "body")
    body.send_keys(Keys.TAB)
    assert browser.run("return document.activeElement.name") == "scheme"
    browser.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert browser.run("return document.querySelector('input:checked').id") == "scheme-light"


def test_on_paper_it_is_light(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["demo"], width=800, dark=True, media="print")
    text = browser.run("return getComputedStyle(document.querySelector('svg.plot text')).fill")
    assert sum(_numbers(text)) < 3 * 64
    assert browser.run("return getComputedStyle(document.querySelector('.scheme')).display") == "none"


def test_headings_are_in_order_and_sections_have_names(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["demo"], width=1280)
    levels = browser.run("return [...document.querySelectorAll('h1, h2, h3')].map(e => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    assert browser.run("return document.documentElement.lang") == "en"
    named = browser.run(
        "return [...document.querySelectorAll('section')].map("
        "s => document.getElementById(s.getAttribute('aria-labelledby')).innerText)"
    )
    assert len(named) == len(set(named)) == 7


def test_a_picture_of_it_has_colours(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    """That plots are drawn at all, not only laid out: Chromium's pixels have the colours of the series."""
    matplotlib_image = pytest.importorskip("matplotlib.image")
    for dark, color in ((False, "#0072b2"), (True, "#56b4e9")):
        browser.open(pages["demo"], width=1280, dark=dark)
        browser.screenshot(tmp_path / "page.png")
        pixels = matplotlib_image.imread(tmp_path / "page.png")[..., :3]
        wanted = np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        assert (np.abs(pixels - wanted).max(axis=2) < 0.01).sum() > 500
