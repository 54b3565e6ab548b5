"""The package as a whole: imports, fallbacks, layers, documentation."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest

import farpoint
from farpoint.backends import BACKENDS

ROOT = Path(__file__).parents[1]
PUBLIC_MODULES = [
    "farpoint",
    "farpoint._api",
    "farpoint._config",
    "farpoint._embedding",
    "farpoint._files",
    "farpoint._neighbours",
    "farpoint._records.text",
    "farpoint.datasets",
    "farpoint._uniformity",
    "farpoint.deduplication",
    "farpoint.refinement",
    "farpoint.reporting",
    "farpoint.reporting.collecting",
    "farpoint.selection",
]


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_docstring_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"np": np, "farpoint": farpoint})
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize("name", [n for n in farpoint.__all__ if n != "__version__"])
def test_public_names_are_documented(name: str) -> None:
    thing = getattr(farpoint, name)
    text = inspect.getdoc(thing)
    assert text
    assert len(text.splitlines()[0]) > 20
    if inspect.isfunction(thing):
        assert "Examples\n--------" in text
        assert "Returns\n-------" in text
        for parameter in inspect.signature(thing).parameters:
            assert re.search(rf"^(\w+, )*{parameter}\b", text, re.M), f"{parameter} is not documented"


def test_importing_is_light() -> None:
    found = run(
        """
        import sys
        import farpoint
        import farpoint.datasets
        for name in farpoint.__all__:
            getattr(farpoint, name)
        heavy = {"cupy", "datasets", "gzip", "jinja2", "matplotlib", "numba", "pandas", "polars", "pyarrow"}
        heavy |= {"ray", "sentence_transformers", "sklearn", "torch", "tqdm", "zarr"}
        print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
        """
    )
    assert found.stdout.strip() == "[]", found.stdout + found.stderr


def test_public_names_are_where_the_package_says() -> None:
    assert sorted(farpoint.__all__) == sorted([*farpoint._MODULES, "__version__"])
    for name, module in farpoint._MODULES.items():
        assert getattr(farpoint, name).__module__ == f"farpoint.{module}"
    found = run(
        "from farpoint import *; import farpoint; print(set(farpoint.__all__) <= set(dir(farpoint)), select)"
    )
    assert found.stdout.startswith("True <function select"), found.stderr
    with pytest.raises(AttributeError, match="has no attribute 'chosen'"):
        _ = farpoint.chosen


@pytest.mark.alone
def test_importing_is_fast(tmp_path: Path) -> None:
    """Beside numpy's import, for machines differ: where that takes 0.06 s, both take less than 0.13 s.

    With byte code, which pip makes of every package that it installs: the first run does here.
    """
    script = """
        import time
        begin = time.process_time()
        import farpoint
        imported = time.process_time()
        import numpy
        middle = time.process_time()
        farpoint.select
        print((imported - begin) / (middle - imported), (time.process_time() - middle) / (middle - imported))
    """
    byte_code = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    measured = [tuple(map(float, run(script, **byte_code).stdout.split())) for _ in range(6)]
    assert min(imported for imported, _ in measured) < 0.5
    assert min(used for _, used in measured) < 1.0


WITHOUT_EXTENSION = """
    import importlib.util, sys, warnings
    real = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *rest: (
        None if name in MISSING else real(name, *rest)
    )
"""


def test_without_the_extension_numba_computes_and_one_warning_says_so() -> None:
    found = run(
        f"""
    MISSING = {{"farpoint._cpu"}}{WITHOUT_EXTENSION}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import farpoint
        import numpy as np
        s = farpoint.select(np.eye(30), 5, metric="cosine")
        farpoint.select(np.eye(30), 5)
    print(s.info["backend"], len([w for w in caught if "compiled extension" in str(w.message)]))
    try:
        farpoint.select(np.eye(3), 2, backend="cpu")
    except RuntimeError as error:
        print(error)
    farpoint.show_config()
    try:
        farpoint.select(np.array([[1.0, np.nan]]), 1)
    except ValueError as error:
        print(error)
    """
    )
    lines = found.stdout.splitlines()
    assert lines[0] == "numba 1", found.stdout + found.stderr
    assert lines[1].startswith("backend 'cpu' cannot be used here: farpoint was installed without")
    assert any(line.startswith("  cpu        no   farpoint was installed without") for line in lines)
    assert "row 0, column 1 is NaN" in lines[-1]


def test_without_extension_and_numba_importing_works_and_selecting_says_what_to_install() -> None:
    found = run(
        f"""
    MISSING = {{"farpoint._cpu", "numba"}}{WITHOUT_EXTENSION}
    warnings.simplefilter("ignore")
    import farpoint
    print(len(farpoint.select([[0.0], [1.0]], 1, backend="reference")))
    try:
        farpoint.select([[0.0], [1.0]], 1)
    except RuntimeError as error:
        print(error)
    """
    )
    lines = found.stdout.splitlines()
    assert lines[0] == "1", found.stderr
    assert "reinstall with a compiler" in lines[1]
    assert "farpoint[numba]" in lines[1]


def test_a_broken_extension_raises() -> None:
    found = run(
        """
        import sys, types
        import farpoint
        class Broken:
            def find_spec(self, name, path=None, target=None):
                if name == "farpoint._cpu":
                    raise ImportError("undefined symbol: _Z6broken")
        sys.modules.pop("farpoint._cpu", None)
        if "_cpu" in vars(farpoint): del farpoint._cpu
        from farpoint.backends import cpu
        cpu._present.cache_clear()
        cpu._present = lambda: True
        sys.meta_path.insert(0, Broken())
        try:
            farpoint.select([[0.0], [1.0]], 1)
        except ImportError as error:
            print("raised", error)
        farpoint.show_config()
        """
    )
    assert found.stdout.startswith("raised undefined symbol"), found.stdout + found.stderr
    assert "cpu        no   ImportError: undefined symbol" in found.stdout
    assert "auto      None: cpu: ImportError: undefined symbol" in found.stdout


def test_layers_point_downwards() -> None:
    """Python stays out of core/, cpu/ and cuda/; core/ knows no SIMD, no threads and not cpu/."""
    forbidden = {
        "core": r"Python\.h|pybind11|immintrin|<thread>|<mutex>|\"cpu/|\"bindings/|\"cuda/|\"c/",
        "cpu": r"Python\.h|pybind11|\"bindings/|\"c/",
        "c": r"Python\.h|pybind11|\"bindings/|\"cuda/",
        "cuda": r"Python\.h|pybind11|\"bindings/|\"cpu/",
    }
    seen = 0
    for layer, pattern in forbidden.items():
        for path in (ROOT / "csrc" / layer).glob("*"):
            seen += 1
            assert not re.search(rf"#include.*({pattern})", path.read_text()), path
    assert seen > 20


def test_per_level_kernels_share_no_inline_code() -> None:
    """Hot files include nothing of the standard library but <cstdint> and <cstddef>."""
    allowed = {"<cstddef>", "<cstdint>", "<immintrin.h>", "<arm_neon.h>"}
    files = [*(ROOT / "csrc" / "cpu").glob("*.inl")]
    levels = r"_(baseline|avx\w*|neon\w*)"
    files += [p for p in (ROOT / "csrc" / "cpu").glob("*.cpp") if re.search(rf"{levels}$", p.stem)]
    assert len(files) >= 10
    for path in (*files, ROOT / "csrc" / "cpu" / "kernels.h"):
        for include in re.findall(r"#include (<\S+>)", path.read_text()):
            assert include in allowed, f"{path.name} includes {include}"


def test_python_layers() -> None:
    """Backends know neither the public functions nor each other; the reference needs numpy alone."""
    package = ROOT / "python" / "farpoint"
    shared = ("_protocol", "_engine", "_device_matrix", "_order", "_plain_shard")
    for path in (package / "backends").glob("*.py"):
        imported = {
            node.module
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module
        }
        ours = {name for name in imported if name.startswith("farpoint")}
        below = {"farpoint", "farpoint._parts", "farpoint.backends"}
        assert ours <= below | {f"farpoint.backends.{name}" for name in shared} or path.name == "__init__.py"
        if path.name == "reference.py":
            assert imported <= {
                "__future__",
                "typing",
                "farpoint.backends._order",
                "farpoint.backends._plain_shard",
                "farpoint.backends._protocol",
            }


def test_records_and_frames_are_below_the_public_functions() -> None:
    package = ROOT / "python" / "farpoint"
    paths = [*(package / "_records").glob("*.py"), package / "_frames.py", package / "_json_lines.py"]
    assert len(paths) > 8
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.module != "farpoint", path
                assert not re.match(r"farpoint\.(_api|cli|datasets|selection)\b", node.module or ""), path
            elif isinstance(node, ast.Import):
                assert all(name.name.partition(".")[0] != "farpoint" for name in node.names), path


ADAPTERS = ["active_learning", "chem", "skactiveml", "sklearn", "torch"]


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_use_the_public_functions_alone(name: str) -> None:
    tree = ast.parse((ROOT / "python" / "farpoint" / f"{name}.py").read_text())
    imports = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [line for line in imports if "farpoint" in line] == ["import farpoint"]
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "farpoint"
    }
    assert used
    assert used <= set(farpoint.__all__)


def test_every_drop_in_of_the_docs_is_there() -> None:
    lines = (ROOT / "docs" / "drop-ins.md").read_text().splitlines()
    after = [re.findall(r"`(from farpoint[^`]+)`", line) for line in lines if line.startswith("| ")]
    statements = [found[-1] for found in after if found]
    modules = {re.findall(r"farpoint\.(\w+)", statement)[0] for statement in statements}
    assert modules == set(ADAPTERS)
    for package in ("sklearn", "torch", "skactiveml"):
        pytest.importorskip(package)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what they import
        for statement in statements:
            exec(statement, {})


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_are_documented(name: str) -> None:
    if name not in ("active_learning", "chem"):
        pytest.importorskip(name)
    module = importlib.import_module(f"farpoint.{name}")
    for public in module.__all__:
        thing = getattr(module, public)
        assert re.search("Examples\n-----|Attributes\n-----", inspect.getdoc(thing) or ""), public
        members = {public: thing} if inspect.isfunction(thing) else dict(inspect.getmembers(thing))
        for key, function in members.items():
            if key[0] == "_" or not inspect.isfunction(function) or function.__module__ != module.__name__:
                continue
            text = inspect.getdoc(function) or ""
            assert "Returns\n-----" in text or inspect.signature(function).return_annotation == "None", key
            for parameter in inspect.signature(function).parameters:
                documented = re.search(rf"^\**(\w+, )*{parameter}\b", text, re.M)
                assert documented or parameter == "self", f"{public}.{key}: {parameter} is not documented"


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    farpoint.show_config()
    text = capsys.readouterr().out
    assert farpoint.__version__ in text
    for name in BACKENDS:
        assert re.search(rf"^  {name} +(yes|no)", text, re.M)
    with pytest.raises(ValueError, match="mode must be"):
        farpoint.show_config("yaml")  # type: ignore[call-overload]


def test_the_feature_table_in_the_docs_is_what_backends_say() -> None:
    lines = (ROOT / "docs" / "backends.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert rows[0][:4] == ["backend", "metrics", "dtypes", "devices"]
    table = {row[0]: [set(cell.split(", ")) for cell in row[1:4]] for row in rows[2:]}
    assert table == {
        f"`{name}`": [set(can.metrics), set(can.dtypes), set(can.devices)]
        for name, can in ((name, backend.capabilities) for name, backend in BACKENDS.items())
    }
    assert list(table) == [f"`{name}`" for name in BACKENDS]


def test_the_docs_say_which_backends_take_constraints() -> None:
    text = (ROOT / "docs" / "backends.md").read_text()
    found = re.search(r"`weights`, `groups` and `exclude` .*?: ([^.]*)\.", text, re.S)
    assert found is not None
    able = {name for name, backend in BACKENDS.items() if backend.capabilities.constraints}
    assert set(re.findall(r"`(\w+)`", found[1])) == able
    for name in able:
        assert BACKENDS[name].capabilities.constraints == {"weights", "groups", "exclude"}


class Narrow:
    """A backend that supports something else."""

    def __init__(self, name: str, **can: frozenset[str]) -> None:
        self.name = name
        self.capabilities = dataclasses.replace(BACKENDS["numba"].capabilities, **can)

    def unavailable(self) -> None:
        return None


@pytest.mark.parametrize(
    "can, message",
    [
        ({"metrics": frozenset({"cosine"})}, "does not support metric 'euclidean'; it supports cosine"),
        ({"dtypes": frozenset({"int8"})}, "does not support dtype 'float32'; it supports int8"),
        ({"devices": frozenset({"tpu"})}, "does not support device 'cpu'; it supports tpu"),
    ],
)
def test_auto_passes_over_what_does_not_support_the_call(
    monkeypatch: pytest.MonkeyPatch, can: dict[str, frozenset[str]], message: str
) -> None:
    monkeypatch.setattr(farpoint.backends, "AUTOMATIC", ("narrow", "numba"))
    monkeypatch.setitem(BACKENDS, "narrow", Narrow("narrow", **can))
    X = np.eye(5, dtype=np.float32)
    assert farpoint.select(X, 3).info["backend"] == "numba"
    with pytest.raises(ValueError, match=f"backend 'narrow' {message}"):
        farpoint.backends.choose_backend("narrow", "euclidean", "float32")
    monkeypatch.setattr(farpoint.backends, "AUTOMATIC", ("narrow",))
    with pytest.raises(RuntimeError, match=f"narrow: {message}"):
        farpoint.select(X, 3)


def test_messages_about_dtypes_and_devices_follow_the_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Narrow("wide", dtypes=frozenset({"int4"}), devices=frozenset({"tpu"}))
    monkeypatch.setitem(BACKENDS, "wide", wide)
    with pytest.raises(TypeError, match="bfloat16, float16, float32, float64, int4, int8, uint8"):
        farpoint.select(np.zeros((2, 2), dtype=complex), 1)

    class OnMetal:
        def __dlpack__(self) -> None: ...

        def __dlpack_device__(self) -> tuple[int, int]:
            return 8, 0

    with pytest.raises(TypeError, match="on device metal; backends of this version read cpu, cuda, tpu"):
        farpoint.select(OnMetal(), 1)
