"""Embeddings of records' texts, by a model of sentence-transformers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from farpoint._atomic import atomic_write
from farpoint._files import open_files
from farpoint._mapped import Rows
from farpoint._parts import PartedMatrix
from farpoint._records import Records, TextTemplate
from farpoint._spool import Spool

_log = logging.getLogger("farpoint")
# Texts that are given to the model at a time: it sorts them by length, so that its batches are padded little.
_TEXTS_AT_A_TIME = 2048


def load_model(name: str) -> Any:
    """Return a model, by its name on the Hugging Face Hub or the path of its folder.

    Raises
    ------
    ImportError
        sentence-transformers is not installed.
    ValueError
        There is no such model.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise ImportError('embedding needs sentence-transformers: pip install "farpoint[embed]"') from None
    try:
        return SentenceTransformer(name)
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"model {name!r} cannot be loaded: {reason}") from error


def embed(
    records: Records,
    text: TextTemplate,
    model: Any,
    name: str,
    *,
    batch_size: int,
    path: Path | None,
    spill_folder: str | None,
    in_memory: bool,
    progress: Callable[[int, int], object] | None,
) -> PartedMatrix:
    """Embed the text of each record.

    Parameters
    ----------
    records : Records
        They have been scanned for the text.
    text : TextTemplate
    model
        What `load_model` returns.
    name : str
        What to call it.
    batch_size : int
        How many texts the model takes at once.
    path : Path, optional
        An .npy file to keep the embeddings in. Default: where decoded matrices go.
    spill_folder, in_memory
        As for `open_files`.
    progress : callable, optional
        Gets (done, total) now and then.
    """
    blocks = _blocks(records, text, model, batch_size, progress)
    if path is not None:
        _save(blocks, len(records), path)
        return open_files(path)
    with Spool(spill_folder, in_memory=in_memory) as spool:
        source = f"embeddings of {records.name} by {name}"
        return PartedMatrix([(source, spool.gather(blocks))], source, in_files=False)


def _blocks(
    records: Records,
    text: TextTemplate,
    model: Any,
    batch_size: int,
    progress: Callable[[int, int], object] | None,
) -> Iterator[Rows]:
    texts = records.texts(text)
    done = 0
    while some := list(islice(texts, _TEXTS_AT_A_TIME)):
        found: Rows = np.asarray(
            model.encode(some, batch_size=batch_size, convert_to_numpy=True, show_progress_bar=False)
        )
        if found.ndim != 2 or len(found) != len(some):
            raise ValueError(f"the model makes {found.shape} of {len(some)} texts, not an embedding of each")
        done += len(some)
        _log.info("embedded %d of %d records", done, len(records))
        if progress is not None:
            progress(done, len(records))
        yield found


def _save(blocks: Iterable[Rows], rows: int, path: Path) -> None:
    with atomic_write(path) as partial, partial.open("wb") as file:
        for i, block in enumerate(blocks):
            if i == 0:
                np.lib.format.write_array_header_1_0(
                    file,
                    {
                        "descr": np.lib.format.dtype_to_descr(block.dtype),
                        "fortran_order": False,
                        "shape": (rows, block.shape[1]),
                    },
                )
            file.write(np.ascontiguousarray(block).tobytes())
