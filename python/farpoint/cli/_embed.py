"""Embedding the texts of records on the command line."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from farpoint._parts import PartedMatrix

_SECONDS_BETWEEN_LINES = 0.25
_BATCH_SIZE = 32


def add(group: Any) -> None:
    """Add the options."""
    group.add_argument(
        "--embed",
        metavar="MODEL",
        help="embed --text by a model of sentence-transformers, by its name or folder",
    )
    group.add_argument(
        "--text",
        metavar="FIELD",
        help=r"for --embed: the field (column) that is text, or several, such as '{question}\n{answer}'",
    )
    group.add_argument(
        "--save-embeddings",
        metavar="FILE",
        help="for --embed: keep the embeddings (.npy), also if what follows fails; --embeddings takes them",
    )
    group.add_argument(
        "--batch-size", type=int, metavar="N", help=f"for --embed: texts at a time (default: {_BATCH_SIZE})"
    )


def check(options: argparse.Namespace) -> None:
    """Raise unless the options fit together."""
    if options.embed is None:
        for name in ("text", "save_embeddings", "batch_size"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name.replace('_', '-')} has no meaning without --embed")
        return
    for name in ("embeddings", "key", "column"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} has no meaning with --embed")
    if getattr(options, "ray", None) is not None:
        raise ValueError("--embed cannot be used with --ray: embed first, with --save-embeddings and without")
    if options.text is None:
        raise ValueError("--embed needs --text: the field that holds the text")
    if options.batch_size is not None and options.batch_size < 1:
        raise ValueError(f"--batch-size must be at least 1, not {options.batch_size}")
    if options.save_embeddings is not None and not options.save_embeddings.lower().endswith(".npy"):
        raise ValueError(f"--save-embeddings writes .npy, not {options.save_embeddings}")


class Embedding:
    """What --embed asks for. The model is loaded at once: that it is missing is told before anything is read.

    Attributes
    ----------
    text : TextTemplate
    """

    def __init__(self, options: argparse.Namespace) -> None:
        from farpoint._records import TextTemplate
        from farpoint._records.embed import load_model

        self._options = options
        self.text = TextTemplate(options.text)
        self._model = load_model(options.embed)

    def of(self, records: Any) -> PartedMatrix:
        """Embed records that were scanned for the text."""
        from farpoint._records.embed import embed

        options = self._options
        saved = options.save_embeddings
        with _progress(options) as progress:
            return embed(
                records,
                self.text,
                self._model,
                options.embed,
                batch_size=options.batch_size or _BATCH_SIZE,
                path=None if saved is None else Path(saved),
                spill_folder=options.spill_folder,
                in_memory=options.memory_limit is None,
                progress=progress,
            )


@contextmanager
def _progress(options: argparse.Namespace) -> Iterator[Callable[[int, int], object] | None]:
    """Yield what to report to: JSON lines, a bar where somebody sees it, nothing."""
    if options.json and not options.quiet:
        yield _JsonLines()
    elif options.quiet or not sys.stderr.isatty() or importlib.util.find_spec("tqdm") is None:
        yield None
    else:
        from tqdm.auto import tqdm

        with tqdm(unit="record", desc="embedding") as bar:

            def update(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield update


class _JsonLines:
    def __init__(self) -> None:
        self._next_line = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.perf_counter()
        if now >= self._next_line or done == total:
            self._next_line = now + _SECONDS_BETWEEN_LINES
            event = {"event": "embedding", "done": done, "total": total}
            print(json.dumps(event), file=sys.stderr, flush=True)
