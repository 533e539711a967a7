"""What the text files of a log, and those beside them, take on disk; see `logd.query.inventory`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from logd.outputs.files.names import torn_of
from logd.query.files.listing import FileRef, RingFiles, open_file
from logd.query.files.raw import DAMAGED, chunks, split, whole_blocks
from logd.query.files.scan import read_generation
from logd.query.files.sidecar import SUFFIX, load
from logd.query.inventory import StoredPiece
from logd.text.reading import LineReader

_HEAD_BYTES = 1 << 16
"""The first entry with a time is looked for so far."""


def pieces(files: RingFiles, reader: LineReader) -> Iterator[StoredPiece]:
    """The files of a log, oldest first, then what else is there because of it.

    Raises:
        CannotRead: the folder can't be read.
    """
    refs = files.listing()
    for ref in refs:
        kind = "compressed" if ref.suffix else "current" if ref is refs[-1] else "closed"
        first, records = _first_and_records(ref, reader)
        yield StoredPiece(ref.path.name, ref.size, kind, first, ref.mtime_ns / 1e9, records)
    known = {ref.path.name for ref in refs}
    pattern = Path(files.pattern).name
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(files.folder.iterdir()):
            kind_of_other = None if path.name in known else kind_beside(files, pattern, path.name)
            if kind_of_other is not None:
                with contextlib.suppress(FileNotFoundError):
                    state = path.stat(follow_symlinks=False)
                    yield StoredPiece(path.name, state.st_size, kind_of_other, None, state.st_mtime)


def kind_beside(files: RingFiles, pattern: str, name: str) -> str | None:
    """What a file beside those of a log is; None if it has nothing to do with it."""
    if name.startswith(f".{pattern}."):
        return "journal" if name.endswith(".journal") else "other"
    if name.startswith("."):
        logged, _, _ = name[1:].rpartition(SUFFIX)
        if logged and files.has(str(files.folder / logged)):
            return "index"
        logged = name[1:].rpartition(".")[0].rpartition(".")[0]
        return "other" if logged and files.has(str(files.folder / logged)) else None
    taken_from = torn_of(name)
    is_torn = taken_from is not None and files.has(str(files.folder / taken_from))
    return "torn" if is_torn else None


def _first_and_records(ref: FileRef, reader: LineReader) -> tuple[float | None, int | None]:
    """When the first record was logged, and how many there are if the index tells."""
    with contextlib.suppress(*DAMAGED):
        opened = open_file(ref)
        if opened is None:
            return None, None
        descriptor, now = opened
        try:
            index = load(now, read_generation(descriptor, now), descriptor)
            reader.times.last_written = now.mtime_ns / 1e9
            for data in whole_blocks(chunks(descriptor, now, 0, _HEAD_BYTES)):
                for raw in split(data):
                    time = reader.read(raw).time
                    if time is not None:
                        counted = index is not None and index.is_counted and not index.is_open
                        return time, sum(index.totals) if index and counted else None
        finally:
            os.close(descriptor)
    return None, None
