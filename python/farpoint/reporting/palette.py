"""The colours of a report, for light and for dark surroundings.

Series are Okabe and Ito's colours, vermilion darkened for white; the order of picks is viridis. Both can be
told apart with any colour vision, and in grey.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Palette:
    """What each thing is drawn in: "#rrggbb"."""

    ink: str  # text
    muted: str  # less important text, axes
    grid: str
    page: str  # behind everything
    surface: str  # behind figures
    selection: str
    random: str
    everything: str  # all rows
    order: tuple[str, ...]  # from the first pick to the last


# The order is twelve colours of viridis, from 0 to 0.87 of it on white and from 1 down to 0.3 on black.
LIGHT = Palette(
    ink="#1b1f24",
    muted="#57606a",
    grid="#d8dee4",
    page="#f4f6f8",
    surface="#ffffff",
    selection="#0072b2",
    random="#c04f00",
    everything="#6e7781",
    order=(
        *("#440154", "#481d6f", "#453781", "#3d4e8a", "#33638d", "#2a778e"),
        *("#238a8d", "#1e9d89", "#29af7f", "#4ac16d", "#75d054", "#a8db34"),
    ),
)
DARK = Palette(
    ink="#e8ecf0",
    muted="#a4adb8",
    grid="#363d47",
    page="#0d1014",
    surface="#171b21",
    selection="#56b4e9",
    random="#e69f00",
    everything="#98a2ad",
    order=(
        *("#fde725", "#d5e21a", "#aadc32", "#81d34d", "#5ac864", "#3bbb75"),
        *("#26ad81", "#1e9d89", "#218e8d", "#277f8e", "#2d708e", "#355f8d"),
    ),
)


def _named() -> list[tuple[str, str, str]]:
    """Return the name of each colour in CSS, and what it is in either palette."""
    found = []
    for field in fields(Palette):
        light, dark = getattr(LIGHT, field.name), getattr(DARK, field.name)
        if isinstance(light, str):
            found.append((f"--{field.name}", light, dark))
        else:
            found += [
                (f"--{field.name}-{place}", *pair) for place, pair in enumerate(zip(light, dark, strict=True))
            ]
    return found


def _stand_in(place: int) -> str:
    return f"#fe00{place:02x}"


def stand_ins() -> Palette:
    """Return a palette of colours that stand for CSS variables, which `with_variables` puts there."""
    places = {name: _stand_in(place) for place, (name, _, _) in enumerate(_named())}
    plain = {field.name: places[f"--{field.name}"] for field in fields(Palette) if field.name != "order"}
    return Palette(**plain, order=tuple(places[f"--order-{place}"] for place in range(len(LIGHT.order))))


def with_variables(svg: str) -> str:
    """Replace the colours of `stand_ins` by CSS variables."""
    names = {_stand_in(place): name for place, (name, _, _) in enumerate(_named())}
    return re.sub(r"#fe00[0-9a-f]{2}", lambda found: f"var({names[found[0]]})", svg)


def variables() -> str:
    """Return the CSS that gives the variables their values: light ones where ``light-dark`` is not known."""
    light = "".join(f"{name}: {light};" for name, light, _ in _named())
    both = "".join(f"{name}: light-dark({light}, {dark});" for name, light, dark in _named())
    return f":root {{{light}}} @supports (color: light-dark(red, red)) {{:root {{{both}}}}}"
