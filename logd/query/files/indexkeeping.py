"""Gives each closed file of a log its index, and takes away those whose file is gone.

`python -m logd.query.files.indexkeeping PATTERN` is a process of its own, of the lowest priority:
it takes a processor that nobody wants, and never the daemon's interpreter. The daemon starts it
when a file was closed; to run it by hand does no harm.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator

from logd.query.files.indexing import (
    NotIndexed,
    build,
    is_unchanged,
    is_worth_it,
)
from logd.query.files.listing import FileRef, RingFiles, open_file
from logd.query.files.raw import DAMAGED
from logd.query.files.scan import read_generation
from logd.query.files.sidecar import SUFFIX, load, save
from logd.query.positions import CannotRead
from logd.text.reading import LineReader

MAX_TEMPORARY_AGE_S = 3600.0
"""An index that was begun this long ago and has no name yet was given up."""

_NICENESS = 19


def closed_files(files: RingFiles) -> list[FileRef]:
    """The files that should have an index, newest first.

    Raises:
        CannotRead: the folder can't be read.
    """
    return [ref for ref in reversed(files.listing()[:-1]) if is_worth_it(ref)]


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
    for ref in closed_files(files):
        opened = open_file(ref)
        if opened is None:
            continue
        descriptor, now = opened
        try:
            if load(now, read_generation(descriptor, now)) is not None:
                continue
            with contextlib.suppress(NotIndexed, *(set(DAMAGED) - {OSError})):
                data = build(descriptor, now, reader, lambda _block: _go_on(is_wanted))
                if is_unchanged(descriptor, now):
                    save(now, descriptor, data)
                    yield now
        finally:
            os.close(descriptor)


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
