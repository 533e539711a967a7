"""Gives each file of a log its index, and takes away those whose file is gone.

`python -m logd.query.files.indexkeeping PATTERN` is a process of its own, of the lowest priority:
it takes a processor that nobody wants, and never the daemon's interpreter. The daemon starts it
when a file was closed, or the current one has grown; to run it by hand does no harm.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from logd.query.files.indexing import (
    OPEN_BLOCKS,
    NotIndexed,
    build,
    is_unchanged,
    is_worth_it,
)
from logd.query.files.listing import FileRef, RingFiles, open_file
from logd.query.files.raw import BLOCK_BYTES, DAMAGED
from logd.query.files.scan import read_generation
from logd.query.files.sidecar import SUFFIX, Index, load, path_beside, save
from logd.query.positions import CannotRead
from logd.text.reading import LineReader

MAX_TEMPORARY_AGE_S = 3600.0
"""An index that was begun this long ago and has no name yet was given up."""

MIN_PORTION_BYTES = 16 << 20
"""The index of the file that is written to is made longer by no less."""

_PORTIONS = 64
_NICENESS = 19


def closed_files(files: RingFiles) -> list[FileRef]:
    """The closed files that should have an index, newest first.

    Raises:
        CannotRead: the folder can't be read.
    """
    return [ref for ref in reversed(files.listing()[:-1]) if is_worth_it(ref)]


def portion_of(size: int) -> int:
    """By how many bytes a file of a size has to grow for its index to be made longer.

    Each time the index is written anew, so large files wait for longer.
    """
    return max(MIN_PORTION_BYTES, 1 << max(0, (size // _PORTIONS).bit_length() - 1))


def keep(files: RingFiles, is_wanted: Callable[[], bool] = lambda: True) -> Iterator[FileRef]:
    """Make what is missing, and remove what is left over.

    Args:
        files: of the log.
        is_wanted: asked for each block; if it says no, what is under way is given up.

    Returns:
        The files that got an index, as they do.

    Raises:
        CannotRead: the folder can't be read.
        OSError: it can't be written to.
    """
    _remove_leftovers(files)
    reader = LineReader()
    # What a plain name's file was called while it was written to.
    begun_at = path_beside(str(files.folder / Path(files.pattern).name))
    current = files.listing()[-1:]
    for ref in (*closed_files(files), *filter(is_worth_it, current)):
        opened = open_file(ref)
        if opened is None:
            continue
        descriptor, now = opened
        is_open = ref in current and not now.suffix
        try:
            known = load(now, read_generation(descriptor, now), descriptor, begun_at=begun_at)
            if known is not None and not _is_behind(known, now, is_open=is_open):
                continue
            with contextlib.suppress(NotIndexed, *(set(DAMAGED) - {OSError})):
                data = build(
                    descriptor,
                    now,
                    reader,
                    lambda _block: _go_on(is_wanted),
                    begun=known,
                    is_open=is_open,
                )
                if is_unchanged(descriptor, now, is_open=is_open):
                    save(now, descriptor, data)
                    yield now
        finally:
            os.close(descriptor)


def _is_behind(known: Index, ref: FileRef, *, is_open: bool) -> bool:
    """Whether an index lacks so much that it should be made longer, or finished."""
    if not is_open:
        return known.is_open
    return ref.size - known.size >= portion_of(ref.size) + OPEN_BLOCKS * BLOCK_BYTES


def _go_on(is_wanted: Callable[[], bool]) -> None:
    if not is_wanted():
        raise NotIndexed("nobody waits for it any more")


def _remove_leftovers(files: RingFiles) -> None:
    plain_paths = {ref.plain_path for ref in files.listing()}
    for path in files.folder.glob(f".*{SUFFIX}*"):
        name, _, rest = path.name[1:].rpartition(SUFFIX)
        plain = str(files.folder / name)
        if not files.has(plain):
            continue
        with contextlib.suppress(FileNotFoundError):
            is_old = path.stat().st_mtime < time.time() - MAX_TEMPORARY_AGE_S
            is_gone = not rest and plain not in plain_paths
            if is_gone or (rest[1:].isdecimal() and is_old):
                path.unlink()


def main(pattern: str) -> int:
    """Do it for one log, with this process' parent alive; the exit status."""
    # A sandbox may refuse that, as that of our unit does; the index is wanted all the same.
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    parent = os.getppid()
    try:
        for ref in keep(RingFiles(pattern), lambda: os.getppid() == parent):
            sys.stdout.write(f"{ref.path}\n")
    except (CannotRead, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
