"""The pages of the documentation as programs: what a block is, and how it is run.

README.md and the pages under docs/ are read by Sybil. The blocks of a page run in order, in one namespace and
one folder:

- ``python``: run; one that begins with ``>>>`` is a doctest, whose output is compared;
- ``sh``: run by bash, which stops at the first command that fails;
- ``console``: each line after ``$`` is run, and what follows it is compared with what it writes, ``...``
  standing for any text; ``json``: read;
- ``text``: shown, not run.

Every other language needs a comment directly before the block that says of which file it is a verbatim part:
``<!-- from: examples/select.c -->``. What readers do not see but a block needs stands in a comment
``<!-- invisible-code-block: python`` or ``sh``. A block that cannot be run is left out by a comment with the
reason, ``<!-- skip: next "why" -->``, or ``<!-- skip: next if(no_device, reason="needs a CUDA device") -->``;
tests/test_docs.py lists all of them.

Commands that change the environment or take hours are checked instead of run: `make` by a dry run, `pip
install` by the extras that it names.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import SkipTest

import numpy as np
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

from farpoint import demo
from tests.conftest import NO_DEVICE

ROOT = Path(__file__).parents[1]
RUN = ("python", "sh", "console", "json")
OUTPUT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
COMMAND_SECONDS = 300
# A command that is checked instead of run, on a line of its own.
_CHECKED = re.compile(r"^\s*(make|(?:python3? -m )?pip install|\. \S+/activate)\b.*$", re.M)


def pages() -> list[Path]:
    """Return the pages whose blocks are run."""
    return [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "benchmarks" / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]


def name_of(page: Path) -> str:
    """Return how a page is called: its path from the root."""
    return page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else page.name


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the comment directly before it."""

    language: str
    text: str
    line: int
    comment: str = ""


_FENCE = re.compile(
    r"(?:^ *<!-- (?P<comment>[^\n]*) -->\n\n?)?^(?P<indent> *)(?P<fence>`{3,})(?P<language>[^\n`]*)\n"
    r"(?P<text>.*?)^(?P=indent)(?P=fence)$",
    re.M | re.S,
)


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page that readers see."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start("fence")) + 1
        yield Block(found["language"].strip(), found["text"], line, found["comment"] or "")


@dataclass
class PageRun:
    """Runs the blocks of one page in a folder of its own."""

    page: Path
    folder: Path
    skipped: list[str] = field(default_factory=list)  # reasons
    ran: int = 0

    def run(self) -> None:
        """Run all blocks; the first that fails raises, with the page and the line."""
        parsers = [
            PythonCodeBlockParser(doctest_optionflags=OUTPUT),
            CodeBlockParser("sh", self._shell),
            CodeBlockParser("console", self._console),
            CodeBlockParser("json", _read_json),
            SkipParser(),
        ]
        document = Sybil(parsers, path=str(ROOT), pattern="*.md").parse(self.page)
        document.namespace.update(
            __name__="__main__",
            no_device=NO_DEVICE is not None,
        )
        for example in document.examples():
            try:
                example.evaluate()
            except SkipTest as reason:  # noqa: PERF203
                self.skipped.append(str(reason))
            else:
                self.ran += 1

    def _shell(self, example: Example) -> None:
        source = str(example.parsed)
        place = f"{name_of(self.page)}:{example.line}"
        for found in _CHECKED.finditer(source):
            check_command(found[0].strip(), place)
        self._bash(_CHECKED.sub("", source), place)

    def _console(self, example: Example) -> None:
        place = f"{name_of(self.page)}:{example.line}"
        sessions = re.split(r"^\$ ", str(example.parsed), flags=re.M)
        if sessions[0].strip() or len(sessions) == 1:
            raise AssertionError(f"{place}: a console that begins with no command after $")
        for session in sessions[1:]:
            command, _, expected = session.partition("\n")
            written = self._bash(command, place)
            if not doctest.OutputChecker().check_output(expected, written, OUTPUT):
                raise AssertionError(f"{place}: {command}\nexpected:\n{expected}\nwritten:\n{written}")

    def _bash(self, source: str, place: str) -> str:
        """Run commands; return what they write."""
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", source],
            cwd=self.folder,
            env={
                **os.environ,
                "PATH": f"{self._commands()}{os.pathsep}{os.environ['PATH']}",
                "COLUMNS": "100",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{place}: exit status {done.returncode} of\n{source}\n{done.stdout}")
        return done.stdout

    def _commands(self) -> Path:
        """Return a folder with the commands of this Python, whatever is installed elsewhere."""
        folder = self.folder / ".commands"
        if not folder.exists():
            folder.mkdir()
            for name, what in (("farpoint", " -m farpoint"), ("python", "")):
                (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{what} "$@"\n')
                (folder / name).chmod(0o755)
        return folder


def _read_json(example: Example) -> None:
    for line in str(example.parsed).splitlines():
        json.loads(line)


def check_command(command: str, place: str) -> None:
    """Check a command that is not run: that its target is there, or the extras that it names."""
    if command.startswith("make "):
        target = command.split("#")[0].split()[1:]
        dry = subprocess.run(["make", "-n", *target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert dry.returncode == 0, f"{place}: {command}\n{dry.stderr}"
    for extras in re.findall(r"\[([\w,-]+)\]", command.split("#")[0]):
        unknown = set(extras.split(",")) - known_extras()
        assert not unknown, f"{place}: {command}: no extra {sorted(unknown)}"


def known_extras() -> set[str]:
    """Return what pyproject.toml offers."""
    _, _, content = (
        (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[project.optional-dependencies]")
    )
    return set(re.findall(r"^([\w-]+) = \[", content.partition("\n[")[0], re.M))


def prepare(folder: Path) -> None:
    """Put into a folder what pages take for granted: embeddings, in one file and in shards, and texts."""
    embeddings, texts = demo.load()
    np.save(folder / "embeddings.npy", embeddings.astype(np.float32))
    (folder / "shards").mkdir()
    for number, rows in enumerate(np.array_split(embeddings, 4)):
        np.save(folder / "shards" / f"{number:03}.npy", rows)
    records = ({"id": row, "text": text} for row, text in enumerate(texts))
    (folder / "data.jsonl").write_text(
        "".join(json.dumps(record) + "\n" for record in records), encoding="utf-8"
    )


def main() -> None:
    """Run a page in a folder: python -m tests.documents PAGE FOLDER."""
    page, folder = map(Path, sys.argv[1:])
    os.chdir(folder)
    run = PageRun(page, folder)
    run.run()
    if not run.ran or run.skipped:
        sys.exit(f"{run.ran} blocks were run; left out: {run.skipped}")


if __name__ == "__main__":
    main()
