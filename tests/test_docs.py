"""Every block of the README and the documentation is run as it is written; every link leads somewhere."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("sybil")

from tests.conftest import SANITIZED
from tests.documents import ROOT, RUN, PageRun, blocks, name_of, pages, prepare
from tests.modules import run_module
from tests.test_package import ADAPTERS

PAGES = pages()
THAT_RUN = [
    page
    for page in PAGES
    if "invisible-code-block:" in page.read_text() or any(block.language in RUN for block in blocks(page))
]
# All that is left out somewhere, and why. A page that leaves out something else fails.
SKIPPED = {
    "docs/embedding.md": {"compiles the engine; make examples does the same"},
    "docs/drop-ins.md": {"needs anomalib and all that it needs"},
    "docs/records.md": {"needs sentence-transformers and a model"},
}


@contextmanager
def ray_cluster() -> Iterator[str]:
    """Start a cluster in a process of its own; yield its address."""
    script = (
        "import ray; "
        "found = ray.init(num_cpus=2, include_dashboard=False, object_store_memory=10**8); "
        "print(found.address_info['gcs_address'], flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


starts_processes = pytest.mark.skipif(
    SANITIZED, reason="starts processes and imports libraries that are not ours"
)


@starts_processes
@pytest.mark.parametrize("page", THAT_RUN, ids=name_of)
def test_blocks_run_as_written(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path)
    if re.search(r"ray\.init|--ray", page.read_text()):
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else Ray finds no token in another process
        with ray_cluster() as address:
            monkeypatch.setenv("RAY_ADDRESS", address)
            # In a process that was part of another cluster, what is left of its actors ends those here.
            found = run_module("tests.documents", str(page), str(tmp_path))
        assert found.returncode == 0, found.stdout
        return
    monkeypatch.chdir(tmp_path)
    run = PageRun(page, tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings("default", module=r"(?!farpoint)")  # of libraries that a page uses
        run.run()
    assert run.ran > 0
    assert set(run.skipped) <= SKIPPED.get(name_of(page), set())


@starts_processes
@pytest.mark.parametrize(
    "text, message",
    [
        ("```python\nx = 1\n```\n\n```python\nassert x == 2, f'x is {x}'\n```\n", "x is 1"),
        ("```python\n>>> 1 + 1\n3\n```\n", "Expected:\n    3\nGot:\n    2"),
        ("```sh\nls missing\n```\n", "page.md:1: exit status 2"),
        ("```sh\nfalse | true\nfalse\n```\n", "exit status 1"),
        ("```console\n$ echo one\none\n$ echo two\nthree\n```\n", "expected:\nthree\n\nwritten:\ntwo"),
        ("```console\necho one\n```\n", "no command"),
        ("```sh\nmake nonsense\n```\n", "No rule to make target 'nonsense'"),
        ('```sh\npip install ".[numba,nonsense]"\n```\n', r"no extra \['nonsense'\]"),
        ("```json\n{\n```\n", "Expecting property name"),
        ("<!-- invisible-code-block: python\nassert False, 'hidden'\n-->\n", "hidden"),
    ],
)
def test_a_block_that_is_wrong_fails(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(Exception, match=message):
        PageRun(tmp_path / "page.md", tmp_path).run()


def test_what_is_skipped_says_why(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        '<!-- skip: next "as it is" -->\n\n```python\nfail\n```\n\n```python\n1\n```\n'
    )
    run = PageRun(tmp_path / "page.md", tmp_path)
    run.run()
    assert (run.skipped, run.ran) == (["as it is"], 2)  # the comment is one that ran


def test_every_skip_is_listed() -> None:
    found: dict[str, set[str]] = {}
    for page in PAGES:
        for directive in re.findall(r"<!--+ *skip:(.*?)--+>", page.read_text(), re.S):
            reason = re.fullmatch(r' next (?:"(.+)"|if\(\w+, reason="(.+)"\)) ', directive)
            assert reason, f"{name_of(page)}: skip:{directive}is not how a block is left out"
            found.setdefault(name_of(page), set()).add(reason[1] or reason[2])
    assert found == SKIPPED


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_run_or_part_of_a_file(page: Path) -> None:
    for block in blocks(page):
        place = f"{name_of(page)}:{block.line}: a block of {block.language or 'no language'}"
        source = re.fullmatch(r"from: (\S+)", block.comment)
        if source:
            assert dedented(block.text) in dedented((ROOT / source[1]).read_text()), (
                f"{place} is not in {source[1]}"
            )
        elif block.language not in (*RUN, "text"):
            assert re.fullmatch(r"\{[\w-]+\}.*", block.language), (
                f"{place} is neither run nor <!-- from: a file -->"
            )


def dedented(text: str) -> str:
    """Lines without what they begin with: a block may show an indented part of a file."""
    return "\n".join(line.strip() for line in text.strip().splitlines())


def test_commands_of_blocks_are_run_by_ci() -> None:
    ci = set(re.findall(r"^ *make (?:-j \d+ )?([\w-]+)", (ROOT / ".ci" / "run").read_text(), re.M))
    shown = {
        target
        for page in PAGES
        for block in blocks(page)
        for target in re.findall(r"^\s*make ([\w-]+)", block.text, re.M)
        if block.language in ("sh", "console")
    }
    assert {"demo", "test"} <= shown
    assert shown <= ci


def test_make_targets_that_pages_name_are_there() -> None:
    targets = set(re.findall(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.M))
    known = {target for line in targets for target in line.split()}
    named = {
        target for page in PAGES for target in re.findall(r"`make (?:-j \d+ )?([\w-]+)", page.read_text())
    }
    assert len(named) > 8
    assert named <= known


def heading_anchors(page: Path) -> set[str]:
    """The anchors that a code host and the site give to headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```$|`[^`\n]*`|<!--.*?-->", "", page.read_text(), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)}: there is no {link}"
        assert target.is_relative_to(ROOT), f"{name_of(page)}: {link} is outside the repository"
        if anchor:
            assert anchor in heading_anchors(target), f"{name_of(page)}: there is no {link}"
        if page.is_relative_to(ROOT / "docs"):
            assert target.is_file(), f"{name_of(page)}: {link} is a folder, to which a site has no link"


MODULES = ["farpoint", *(f"farpoint.{name}" for name in (*ADAPTERS, "datasets", "distributed", "theory"))]


def test_the_reference_names_everything_public() -> None:
    text = "".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.md"))
    documented = re.findall(r"^\.\. auto(?!module)\w+:: ([\w.]+)$", text, re.M)
    public = {"farpoint.demo.load"}
    for name in MODULES:
        module = importlib.import_module(name)
        public |= {f"{name}.{thing}" for thing in module.__all__ if thing != "__version__"}
    assert len(documented) == len(set(documented))
    assert set(documented) == public
