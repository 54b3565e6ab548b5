"""farpoint select."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import farpoint
from farpoint._atomic import atomic_write
from farpoint._files import name_of, read_npy
from farpoint.cli import _common, _constraints, _records
from farpoint.selection import Selection


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "select",
        help="select rows",
        description="Select the most evenly spread rows, or the records that they are the embeddings of. "
        "Without -o, row numbers go to standard output, one a line, in the order of selection.",
    )
    _common.add_input(command)
    _records.add(command)
    command.add_argument("-k", type=_count, metavar="N", help="how many: 500, or a fraction such as 0.1")
    _common.add_output(
        command, ".npz (everything), .npy (row numbers), .csv, .json or .txt; or the records: see there"
    )
    command.add_argument(
        "--save-selection", metavar="FILE", help="the selection too, where OUT gets records; as OUT"
    )
    command.add_argument("--order-column", metavar="NAME", help="add each record's place in the selection")
    command.add_argument("--radius-column", metavar="NAME", help="add each record's radius")
    command.add_argument("--start", type=_start, help="row number, center or random (default: 0)")
    command.add_argument("--seed", type=int, help="for --start random, and --refine")
    command.add_argument(
        "--selected", metavar="FILE", help="rows chosen before: .npy, a saved selection (.npz), or text"
    )
    command.add_argument(
        "--anchors",
        metavar="FILE",
        action="append",
        help="a matrix of vectors to keep away from; as IN, and may be given several times",
    )
    _constraints.add(command)
    command.add_argument(
        "--min-distance", type=float, metavar="R", help="stop before a pick closer than this"
    )
    command.add_argument(
        "--checkpoint",
        metavar="PATH",
        help="keep the picks there; the same command, or one with a larger -k, goes on from there",
    )
    command.add_argument(
        "--refine",
        type=float,
        metavar="SECONDS",
        help="exchange rows for so long, so that h_min rises; a --start that is a row or center stays",
    )
    command.add_argument("--assign", action="store_true", help="also each row's nearest pick (.npz, .json)")
    command.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="select on the Ray cluster there, each actor from its own files; auto: the one of this machine; "
        "local: start one here",
    )
    command.add_argument("--actors", type=int, metavar="N", help="for --ray (default: one a file)")
    _common.add_computation(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Select and write."""
    output = _records.output_path(options, _WRITERS)
    if options.save_selection is not None:
        _common.check_suffix(Path(options.save_selection), _WRITERS)
    columns = {"order": options.order_column, "radius": options.radius_column}
    columns = {what: name for what, name in columns.items() if name is not None}
    given = _records.Input(options, output, added=list(columns.values()), beside=[options.save_selection])
    selected = None if options.selected is None else _row_numbers(Path(options.selected))
    exclude = None if options.exclude is None else _row_numbers(Path(options.exclude), may_be_mask=True)
    constraints = {**_constraints.arguments(options), "exclude": exclude}
    with _common.progress(options, options.k is not None) as progress:
        arguments = {
            "start": options.start,
            "selected": selected,
            "anchors": options.anchors,
            "min_distance": options.min_distance,
            "assign": options.assign,
            "checkpoint": options.checkpoint,
            "progress": progress,
            "seed": options.seed,
            **_common.computation(options),
        }
        if options.ray is not None:
            name = name_of(given.matrix_source)
            selection = _select_on_ray(options, given.matrix_source, arguments, constraints)
            given.check_rows(selection.info["n"], name)
        elif options.actors is not None:
            raise ValueError("--actors has no meaning without --ray")
        else:
            matrix = given.matrix()
            name = matrix.name
            selection = farpoint.select(matrix, options.k, refine=options.refine, **constraints, **arguments)
    values = {"order": np.arange(len(selection)), "radius": selection.radii}
    added = {name: values[what] for what, name in columns.items()}
    with given.selected_are_written(selection.indices, added):
        if output is not None and not given.writes_records:
            _write(selection, output)
        if options.save_selection is not None:
            _write(selection, Path(options.save_selection))
    if options.json:
        _common.print_json(_record(selection))
    elif output is None and not given.writes_records:
        sys.stdout.write("".join(f"{row}\n" for row in selection.indices.tolist()))
    if not options.quiet and not options.json:
        print(_summary(selection, given.name or name), file=sys.stderr)


def _select_on_ray(
    options: argparse.Namespace, source: Any, arguments: dict[str, Any], constraints: dict[str, Any]
) -> Selection:
    given = [name for name, value in constraints.items() if value is not None]
    if given:
        raise ValueError(f"--{given[0]} cannot be used with --ray: a distributed selection has no such thing")
    if arguments.pop("device") is not None:
        raise ValueError("--device has no meaning with --ray: its actors compute on processors")
    if options.refine is not None:
        raise ValueError("--refine has no meaning with --ray: it exchanges rows of one machine")
    from farpoint import distributed

    with _cluster(options.ray):
        return distributed.select(
            source,
            options.k,
            actors=options.actors,
            key=options.key,
            column=options.column,
            **arguments,
        )


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    """Connect to a cluster, or start one, for as long as it is needed."""
    if importlib.util.find_spec("ray") is None:
        raise ImportError('--ray needs Ray: pip install "farpoint[ray]"')
    import ray

    if ray.is_initialized():
        yield
        return
    ray.init(address=address, log_to_driver=False, logging_level="warning")
    try:
        yield
    finally:
        ray.shutdown()


def _summary(selection: Selection, source: str) -> str:
    info = selection.info
    bound = (
        f", no {len(selection):,} rows can have h_min above {selection.upper_bound:.6g}"
        if selection.farthest_first
        else ""
    )
    refined = ""
    if selection.is_refined:
        found = info["refinement"]
        refined = (
            f"; refined: {found['gain']:+.2%} with {found['moves']:,} exchanges in {found['seconds']:.2f} s"
        )
    return (
        f"{len(selection):,} of {info['n']:,} rows of {source}: h_min {selection.h_min:.6g}, covering radius "
        f"{selection.covering_radius:.6g}{bound} ({selection.metric}, {info['backend']}, "
        f"{info['seconds']:.2f} s{refined})"
    )


def _record(selection: Selection) -> dict[str, Any]:
    record = selection.to_dict()
    if selection.labels is not None and selection.distances is not None:
        record["labels"] = selection.labels.tolist()
        record["distances"] = selection.distances.tolist()
    return record


def _count(text: str) -> int | float:
    """500 is a count, 0.1 and 1.0 are fractions."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a count such as 500 or a fraction such as 0.1, not {text!r}"
        ) from None


def _start(text: str) -> int | str:
    if text in ("center", "random"):
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a row number, center or random, not {text!r}") from None


def _row_numbers(path: Path, *, may_be_mask: bool = False) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix.lower() == ".npz":
        return Selection.load(path).indices
    if path.suffix.lower() == ".npy":
        return _numpy_row_numbers(path, may_be_mask)
    try:
        return np.array([int(word) for word in path.read_text(encoding="utf-8").split()], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path} must hold row numbers, one a line: {error}") from error


def _numpy_row_numbers(path: Path, may_be_mask: bool) -> Any:
    try:
        rows = read_npy(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if may_be_mask and rows.dtype == np.bool_:
        return rows
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise ValueError(
            f"{path} must be integers (row numbers) in one dimension; it has shape {rows.shape} and dtype "
            f"{rows.dtype}"
        )
    return rows


def _write(selection: Selection, path: Path) -> None:
    _WRITERS[path.suffix.lower()](selection, path)


def _write_csv(selection: Selection, path: Path) -> None:
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        record = selection.to_dict()
        columns: dict[str, Sequence[Any]] = {
            "order": range(len(selection)),
            "index": record["indices"],
            "radius": selection.radii.tolist(),
        }
        # Of several files.
        columns |= {name: record[name] for name in ("file", "row") if name in record}
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _write_json(selection: Selection, path: Path) -> None:
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(_record(selection), allow_nan=False) + "\n", encoding="utf-8")


def _write_npy(selection: Selection, path: Path) -> None:
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.save(file, selection.indices)


def _write_txt(selection: Selection, path: Path) -> None:
    with atomic_write(path) as partial:
        partial.write_text("".join(f"{row}\n" for row in selection.indices.tolist()), encoding="utf-8")


_WRITERS: dict[str, Callable[[Selection, Path], None]] = {
    ".npz": lambda selection, path: selection.save(path),
    ".npy": _write_npy,
    ".csv": _write_csv,
    ".json": _write_json,
    ".txt": _write_txt,
}
