"""What was measured: rows in tables in sections, targets, and the text and JSON made of them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """One line of a table."""

    what: str
    seconds: float
    figures: dict[str, str] = field(default_factory=dict)
    agrees: str = ""


@dataclass
class Target:
    """A floor or a ceiling, what was reached, and whether that is enough (None: cannot be measured here)."""

    what: str
    reached: str
    met: bool | None


@dataclass
class Section:
    """The measurements of one module of `sections`."""

    name: str
    about: str
    data: str = ""
    sgemm_gflops: float = 0.0
    seconds: float = 0.0
    tables: dict[str, list[Row]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    plots: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    failure: str = ""

    def target(self, what: str, reached: str, met: bool | None) -> None:
        """Note a target and whether it was met."""
        self.targets.append(Target(what, reached, met))

    def at_least(self, what: str, ratio: float, floor: float) -> None:
        """Note a ratio that is to be at least `floor`."""
        self.target(f"{what}: at least {floor:g} x", f"{ratio:.3g} x", ratio >= floor)

    def markdown(self) -> list[str]:
        """Return lines of text."""
        lines = ["", f"## {self.name}: {self.about}", ""]
        facts = [f"Data: {self.data}."] if self.data else []
        if self.sgemm_gflops:
            facts.append(f"sgemm (numpy) just before: {self.sgemm_gflops:.0f} GFLOP/s.")
        facts.append(f"The section took {self.seconds / 60:.1f} minutes.")
        lines.append(" ".join(facts))
        for title, rows in self.tables.items():
            columns = list(dict.fromkeys(name for row in rows for name in row.figures))
            lines += ["", f"### {title}", ""]
            lines.append("| | seconds | " + "".join(f"{name} | " for name in columns) + "same answer |")
            lines.append("|---|---:|" + "---:|" * len(columns) + "---|")
            for row in rows:
                cells = "".join(f"{row.figures.get(column, '')} | " for column in columns)
                lines.append(f"| {row.what} | {row.seconds:.3g} | {cells}{row.agrees} |")
        lines += [line for note in self.notes for line in ("", note)]
        lines += [line for plot in self.plots for line in ("", f"![{plot}]({plot})")]
        if self.failure:
            lines += ["", f"**The section ended early: {self.failure}**"]
        return lines


@dataclass
class Report:
    """All sections of a run."""

    machine: dict[str, Any]
    quick: bool
    sections: list[Section] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """All wrong answers."""
        return [f"{section.name}: {what}" for section in self.sections for what in section.wrong]

    @property
    def failed(self) -> list[str]:
        """Sections that ended early."""
        return [section.name for section in self.sections if section.failure]

    def markdown(self) -> str:
        """Return the whole as text, targets first."""
        m = self.machine
        lines = [
            f"# farpoint against its peers, {m['date']}"
            + " (quick: smaller than the targets mean)" * self.quick,
            "",
            f"{m['cpu']}, {m['cores']} cores, SIMD level {m['simd']}, {m['memory_gib']} GiB, {m['system']}, "
            f"Python {m['python']}, {m['compiler']}, commit {m['commit']}, "
            f"load {m['load_average']:.1f} at the start.",
            ", ".join(f"{name} {version}" for name, version in m["versions"].items()) + ".",
            f"numpy's matrix product: {m['blas']}. {m['removed']}".strip(),
            "",
            "x-peak = (2 n k d / seconds) / sgemm FLOP/s: above 1 is less time than computing all n x k "
            "products at the machine's best rate. Seconds of a peer that was not given time for all picks "
            "are its cost a pick times k.",
            "",
            "| section | target | reached | |",
            "|---|---|---|---|",
        ]
        for section in self.sections:
            for target in section.targets:
                verdict = {True: "met", False: "MISSED", None: "not measurable here"}[target.met]
                lines.append(f"| {section.name} | {target.what} | {target.reached} | {verdict} |")
        lines += ["", "Wrong answers: " + ("; ".join(self.wrong) or "none") + "."]
        if self.failed:
            lines += ["", "Ended early: " + ", ".join(self.failed) + "."]
        for section in self.sections:
            lines += section.markdown()
        return "\n".join([*lines, ""])

    def stem(self, only: list[str]) -> str:
        """Name the files: the date, the processor, and what was left out."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.machine["cpu"].lower()).strip("-")
        return "-".join([self.machine["date"], slug, *only, *(["quick"] if self.quick else [])])

    def write(self, folder: Path, stem: str) -> None:
        """Write the text and everything behind it."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{stem}.md").write_text(self.markdown())
        (folder / f"{stem}.json").write_text(json.dumps(asdict(self), indent=1) + "\n")
